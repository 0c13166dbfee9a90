import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startService } from "../testing/start.js";

let service;
let ask;
before(async () => {
  service = await startService();
  ask = service.ask;
});
after(() => service.end());

const ABSENT = "00000000-0000-4000-8000-000000000000";

async function create(fields = {}) {
  return (await ask("POST /item", { name: "a thing", ...fields })).body;
}

test("a created item is answered with 201, its place, and what was stored", async () => {
  const answer = await ask("POST /item", { name: "lamp", quantity: 3, tags: ["b", "a", "a"] });
  assert.equal(answer.status, 201);
  assert.equal(answer.headers.get("Location"), `/item/${answer.body.id}`);
  const { id, created_at, updated_at, ...rest } = answer.body;
  assert.deepEqual(rest, { name: "lamp", description: null, quantity: 3, tags: ["a", "b"] });
  assert.equal(created_at, updated_at);
  assert.deepEqual((await ask(`GET /item/${id}`)).body, answer.body);
});

test("every write tells the timestamp that orders it", async () => {
  const created = await ask("POST /item", { name: "x" });
  const changed = await ask(`PATCH /item/${created.body.id}`, { quantity: 1 });
  const removed = await ask(`DELETE /item/${created.body.id}`);
  const [first, second, third] = [created, changed, removed].map((a) => Number(a.headers.get("X-Write-Timestamp")));
  assert.ok(first < second && second < third);
});

test("PATCH changes what it names, and null clears it", async () => {
  const { id } = await create({ quantity: 3, description: "old" });
  const answer = await ask(`PATCH /item/${id}`, { quantity: 4, description: null });
  assert.equal(answer.status, 200);
  assert.equal(answer.body.name, "a thing");
  assert.equal(answer.body.quantity, 4);
  assert.equal(answer.body.description, null);
});

test("PUT replaces the item: what it does not name is cleared", async () => {
  const { id } = await create({ quantity: 3, tags: ["x"] });
  const answer = await ask(`PUT /item/${id}`, { name: "new" });
  assert.equal(answer.status, 200);
  assert.deepEqual([answer.body.name, answer.body.quantity, answer.body.tags], ["new", null, []]);
});

test("what was read can be put back as it is", async () => {
  const item = await create({ quantity: 3, tags: ["x"] });
  const answer = await ask(`PUT /item/${item.id}`, item);
  assert.equal(answer.status, 200);
  assert.deepEqual({ ...answer.body, updated_at: 0 }, { ...item, updated_at: 0 });
});

test("DELETE answers 204 the first time and the second", async () => {
  const { id } = await create();
  assert.equal((await ask(`DELETE /item/${id}`)).status, 204);
  assert.equal((await ask(`DELETE /item/${id}`)).status, 204);
  assert.equal((await ask(`GET /item/${id}`)).status, 404);
});

test("an item that is not there is 404 for GET, PUT and PATCH", async () => {
  for (const [line, body] of [["GET"], ["PUT", { name: "x" }], ["PATCH", { name: "x" }]]) {
    const answer = await ask(`${line} /item/${ABSENT}`, body);
    assert.equal(answer.status, 404, line);
    assert.equal(answer.body.error.code, "not_found");
  }
});

test("the list comes in pages, and following next finds every item once", async () => {
  const alone = await startService();
  for (let number = 0; number < 25; number += 1) await alone.ask("POST /item", { name: `item ${number}` });
  const seen = [];
  let next = "";
  do {
    const page = (await alone.ask(`GET /item?limit=10${next && `&page_state=${next}`}`)).body;
    seen.push(...page.items.map((item) => item.name));
    next = page.next;
  } while (next);
  assert.equal(seen.length, 25);
  assert.equal(new Set(seen).size, 25);
  await alone.end();
});

test("a page has 100 items unless asked otherwise, and 1000 at most", async () => {
  const alone = await startService();
  for (let number = 0; number < 101; number += 1) await alone.store.create({ name: `item ${number}` });
  assert.equal((await alone.ask("GET /item")).body.items.length, 100);
  assert.equal((await alone.ask("GET /item?limit=1000")).body.items.length, 101);
  assert.equal((await alone.ask("GET /item?limit=1001")).status, 400);
  await alone.end();
});

for (const query of ["limit=0", "limit=-1", "limit=x", "limit=1.5", "limit=", "limit=1&limit=2", "page_state=zz"]) {
  test(`a list with ${query} is refused, naming the parameter`, async () => {
    const answer = await ask(`GET /item?${query}`);
    assert.equal(answer.status, 400);
    assert.equal(answer.body.error.field, query.split("=")[0]);
  });
}

const BAD_BODIES = [
  [{}, "name"],
  [{ name: "" }, "name"],
  [{ name: "   " }, "name"],
  [{ name: null }, "name"],
  [{ name: 5 }, "name"],
  [{ name: "x".repeat(201) }, "name"],
  [{ name: "x", description: 5 }, "description"],
  [{ name: "x", quantity: 1.5 }, "quantity"],
  [{ name: "x", quantity: -1 }, "quantity"],
  [{ name: "x", quantity: 2 ** 31 }, "quantity"],
  [{ name: "x", quantity: "1" }, "quantity"],
  [{ name: "x", tags: "y" }, "tags"],
  [{ name: "x", tags: [1] }, "tags"],
  [{ name: "x", tags: Array(33).fill("y") }, "tags"],
  [{ name: "x", colour: "red" }, "colour"],
  [{ name: "x", id: ABSENT }, "id"],
  ['{"name": "x", "__proto__": {}}', "__proto__"],
];
for (const [body, field] of BAD_BODIES) {
  const shown = JSON.stringify(body).slice(0, 60);
  test(`creating ${shown} is refused, naming ${field}`, async () => {
    const answer = await ask("POST /item", body);
    assert.equal(answer.status, 400);
    assert.equal(answer.body.error.code, "invalid_request");
    assert.equal(answer.body.error.field, field);
  });
}

test("a body that is no JSON object is 400, another type 415, a large one 413", async () => {
  for (const body of ["{", "[]", "1", '"x"', "null"]) assert.equal((await ask("POST /item", body)).status, 400, body);
  assert.equal((await ask("POST /item")).status, 400);
  assert.equal((await ask("POST /item", "name=x", { "Content-Type": "text/plain" })).status, 415);
  assert.equal((await ask("POST /item", "{}", { "Content-Encoding": "gzip" })).status, 415);
  assert.equal((await ask("POST /item", { name: "x", description: "y".repeat(70_000) })).status, 413);
});

test("an update without any field, and an id that is no UUID, are refused", async () => {
  const { id } = await create();
  assert.equal((await ask(`PATCH /item/${id}`, {})).status, 400);
  assert.equal((await ask("GET /item/7")).body.error.field, "id");
});
