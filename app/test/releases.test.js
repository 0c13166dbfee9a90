import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { releaseOf } from "../testing/releases.js";
import { startService } from "../testing/start.js";

const RELEASES = new URL("../releases/", import.meta.url);

for (const version of readdirSync(RELEASES)) {
  const release = await releaseOf(version);

  test(`${version} can put back what it shows`, async () => {
    const service = await startService({ release, environment: { VERSION: version } });
    const created = await service.ask("POST /item", { name: "x", quantity: 2 });
    assert.equal(created.status, 201);
    const put = await service.ask(`PUT /item/${created.body.id}`, created.body);
    assert.equal(put.status, 200);
    assert.equal(put.headers.get("X-Version"), version);
    await service.end();
  });
}

for (const version of ["4.0.0", "5.0.0", "5.1.0"]) {
  test(`${version} takes and shows everything that 3.0.0 does, in the same way`, async () => {
    const sent = { name: "x", description: "d", quantity: 2, tags: ["b", "a"] };
    const shown = [];
    for (const each of ["3.0.0", version]) {
      const service = await startService({ release: await releaseOf(each) });
      const { body } = await service.ask("POST /item", sent);
      const changed = (await service.ask(`PATCH /item/${body.id}`, { description: null, quantity: 3 })).body;
      const cleared = (await service.ask(`PUT /item/${body.id}`, { name: "y" })).body;
      shown.push([body, changed, cleared].map((item) => ({ ...item, id: "", created_at: "", updated_at: "" })));
      await service.end();
    }
    const [before, after] = shown;
    after.forEach((item, place) => assert.deepEqual({ ...item, ...before[place] }, item));
  });
}

test("4.0.0 has a category, general where none is given or was", async () => {
  const service = await startService({ release: await releaseOf("4.0.0") });
  const { body } = await service.ask("POST /item", { name: "x" });
  assert.equal(body.category, "general");
  assert.equal((await service.ask(`PATCH /item/${body.id}`, { category: "lamps" })).body.category, "lamps");
  assert.equal((await service.ask(`PATCH /item/${body.id}`, { category: null })).body.category, "general");
  assert.equal((await service.ask(`PUT /item/${body.id}`, { name: "y" })).body.category, "general");
  // As a row is that the version before made: it knows no categories.
  const { row } = await service.store.create({ name: "z" });
  assert.equal((await service.ask(`GET /item/${row.id}`)).body.category, "general");
  const long = await service.ask("POST /item", { name: "x", category: "c".repeat(101) });
  assert.equal(long.body.error.field, "category");
  await service.end();
});

test("4.0.0 counts further than an int, and no further than JSON's numbers are exact", async () => {
  const service = await startService({ release: await releaseOf("4.0.0") });
  const { body } = await service.ask("POST /item", { name: "x", quantity: 2 ** 53 - 1 });
  assert.equal(body.quantity, 2 ** 53 - 1);
  assert.equal((await service.ask("POST /item", { name: "x", quantity: 2 ** 53 })).body.error.field, "quantity");
  await service.end();
});

test("5.0.0 has a supplier, and 5.1.0 ignores one", async () => {
  const service = await startService({ release: await releaseOf("5.0.0") });
  const { body } = await service.ask("POST /item", { name: "x", supplier: "Ada" });
  assert.equal(body.supplier, "Ada");
  await service.end();
  const later = await startService({ release: await releaseOf("5.1.0") });
  const created = await later.ask("POST /item", { name: "x", supplier: "Ada" });
  assert.equal(created.status, 201);
  assert.ok(!("supplier" in created.body));
  assert.equal((await later.ask(`PUT /item/${created.body.id}`, body)).status, 200);
  await later.end();
});

test("2.0.0 tells whether there is any of an item", async () => {
  const { default: release } = await import("../releases/2.0.0/release.js");
  const service = await startService({ release });
  assert.equal((await service.ask("POST /item", { name: "x", quantity: 2 })).body.in_stock, true);
  assert.equal((await service.ask("POST /item", { name: "x" })).body.in_stock, false);
  await service.end();
});

test("3.0.0 also tells how many tags an item has", async () => {
  const { default: release } = await import("../releases/3.0.0/release.js");
  const service = await startService({ release });
  const created = await service.ask("POST /item", { name: "x", quantity: 2, tags: ["a", "b"] });
  assert.deepEqual([created.body.in_stock, created.body.tag_count], [true, 2]);
  assert.equal((await service.ask("POST /item", { name: "x" })).body.tag_count, 0);
  await service.end();
});
