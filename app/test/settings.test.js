import assert from "node:assert/strict";
import { test } from "node:test";
import { readSettings } from "../service/settings.js";

const COMPLETE = { PORT: "8001", VERSION: "1.0.0", DATABASE_HOSTS: "10.0.0.1, 10.0.0.2" };

test("the least that must be said is port, version and database hosts", () => {
  const settings = readSettings(COMPLETE);
  assert.deepEqual(settings.database.hosts, ["10.0.0.1", "10.0.0.2"]);
  assert.equal(settings.database.table, "item");
  assert.equal(settings.database.password(), "");
});

for (const name of Object.keys(COMPLETE)) {
  test(`without ${name} the service refuses to start, naming it`, () => {
    assert.throws(() => readSettings({ ...COMPLETE, [name]: "" }), new RegExp(name));
  });
}

for (const [name, value] of [
  ["PORT", "http"],
  ["PORT", "70000"],
  ["DRAIN_SECONDS", "-1"],
  ["DATABASE_KEYSPACE", "a; drop"],
  ["DATABASE_TABLE_ITEM", "Item"],
]) {
  test(`${name}=${value} is refused by name`, () => {
    assert.throws(() => readSettings({ ...COMPLETE, [name]: value }), new RegExp(name));
  });
}

test("a password file that is missing is named", () => {
  const settings = readSettings({ ...COMPLETE, DATABASE_PASSWORD_FILE: "/nowhere/password" });
  assert.throws(() => settings.database.password(), /\/nowhere\/password/);
});
