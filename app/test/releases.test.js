import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { startService } from "../testing/start.js";

const RELEASES = new URL("../releases/", import.meta.url);

for (const version of readdirSync(RELEASES)) {
  const own = new URL(`${version}/release.js`, RELEASES);
  const { default: release } = await import(existsSync(own) ? own : "../service/release.js");

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
