// Against a real Cassandra with the item table, where the environment names one: TEST_DATABASE_HOSTS and, as the
// service itself reads them, DATABASE_USER, DATABASE_PASSWORD_FILE, DATABASE_KEYSPACE, DATABASE_TABLE_ITEM. The table
// is that of TEST_RELEASE, 1.0.0 if not given.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Database } from "../service/database.js";
import { ItemForm } from "../service/item.js";
import { ItemStore } from "../service/item-store.js";
import { readSettings } from "../service/settings.js";
import { releaseOf } from "../testing/releases.js";
import { startService } from "../testing/start.js";

const hosts = process.env.TEST_DATABASE_HOSTS;
const skip = hosts ? false : "TEST_DATABASE_HOSTS names no database";
const version = process.env.TEST_RELEASE ?? "1.0.0";
const release = await releaseOf(version);
const environment = { ...process.env, DATABASE_HOSTS: hosts ?? "127.0.0.1", PORT: "0", VERSION: version };
const settings = readSettings(environment).database;
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

let database;
let store;
before(async () => {
  if (skip) return;
  database = new Database(settings, ItemStore.probe(settings));
  store = new ItemStore(database, settings, new ItemForm(release));
  database.start();
  for (let tries = 0; database.obstacle() && tries < 300; tries += 1) await pause(100);
  assert.equal(database.obstacle(), null);
});
after(() => database?.stop());

test("an item is stored, changed, replaced and deleted", { skip }, async () => {
  const service = await startService({ store, release });
  const created = (await service.ask("POST /item", { name: "lamp", quantity: 3, tags: ["a"] })).body;
  assert.deepEqual((await service.ask(`GET /item/${created.id}`)).body, created);
  const changed = (await service.ask(`PATCH /item/${created.id}`, { quantity: null, description: "d" })).body;
  assert.deepEqual((await service.ask(`GET /item/${created.id}`)).body, changed);
  assert.deepEqual([changed.quantity, changed.tags], [null, ["a"]]);
  await service.ask(`PUT /item/${created.id}`, { name: "new" });
  const replaced = (await service.ask(`GET /item/${created.id}`)).body;
  assert.deepEqual([replaced.name, replaced.description, replaced.tags], ["new", null, []]);
  assert.equal(replaced.created_at, created.created_at);
  await service.ask(`DELETE /item/${created.id}`);
  assert.equal((await service.ask(`GET /item/${created.id}`)).status, 404);
  await service.end();
});

test("the list can be followed to its end, and a foreign page_state is 400", { skip }, async () => {
  const service = await startService({ store, release });
  const ids = new Set();
  for (let number = 0; number < 12; number += 1) {
    ids.add((await service.ask("POST /item", { name: `page ${number}` })).body.id);
  }
  const seen = [];
  let next = "";
  do {
    const page = (await service.ask(`GET /item?limit=5${next && `&page_state=${next}`}`)).body;
    seen.push(...page.items.map((item) => item.id));
    next = page.next;
  } while (next);
  assert.equal(new Set(seen).size, seen.length);
  assert.ok([...ids].every((id) => seen.includes(id)));
  assert.equal((await service.ask("GET /item?page_state=00ff")).status, 400);
  for (const id of ids) await service.ask(`DELETE /item/${id}`);
  await service.end();
});

test("an update that overtakes a delete brings nothing back", { skip }, async () => {
  const { row } = await store.create({ name: "x" });
  const execute = database.execute.bind(database);
  database.execute = async (query, ...rest) => {
    // Between the update's read and its write, someone else deletes the item.
    if (query.startsWith("UPDATE")) await store.remove(row.id);
    return execute(query, ...rest);
  };
  await store.update(row.id, { name: "y" });
  delete database.execute;
  assert.equal(await store.read(row.id), null);
});

test("a delete beats a write of an instance whose clock is ahead", { skip }, async () => {
  const { row } = await store.create({ name: "x" });
  const timestampAfter = database.timestampAfter.bind(database);
  database.timestampAfter = (other) => timestampAfter(other) + 5_000_000;
  const ahead = await store.update(row.id, { name: "from the future" });
  delete database.timestampAfter;
  const later = await store.update(row.id, { name: "later" });
  assert.equal((await store.read(row.id)).name, "later");
  assert.ok(later.timestamp > ahead.timestamp);
  await store.remove(row.id);
  assert.equal(await store.read(row.id), null);
});

test("what this release's own fields hold is stored in its columns", { skip }, async () => {
  const service = await startService({ store, release });
  const own = { description: "d", quantity: 2 ** 31 - 1, ...(release.fields?.category && { category: "lamps" }) };
  const whole = release.fields?.quantity ? { quantity: Number.MAX_SAFE_INTEGER } : {};
  const created = (await service.ask("POST /item", { name: "lamp", ...own, ...whole })).body;
  for (const [field, value] of Object.entries({ ...own, ...whole })) assert.equal(created[field], value, field);
  assert.deepEqual((await service.ask(`GET /item/${created.id}`)).body, created);
  const listed = (await service.ask("GET /item?limit=1000")).body.items.find((item) => item.id === created.id);
  assert.deepEqual(listed, created);
  await service.ask(`DELETE /item/${created.id}`);
  await service.end();
});
