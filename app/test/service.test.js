import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { unavailable } from "../service/errors.js";
import plainRelease from "../service/release.js";
import { MemoryStore } from "../testing/memory-store.js";
import { startService } from "../testing/start.js";

let service;
let ask;
before(async () => {
  service = await startService();
  ask = service.ask;
});
after(() => service.end());

test("/version tells name, version, site and slot", async () => {
  const expected = { name: "item-service", version: "1.2.3", site: "a", slot: "green" };
  assert.deepEqual((await ask("GET /version")).body, expected);
});

test("every answer says which version gave it, errors included", async () => {
  const lines = ["GET /health", "GET /item", "GET /nowhere", "PUT /item", "GET /item/7", "GET /item/%E0%A4%A"];
  for (const line of lines) assert.equal((await ask(line)).headers.get("X-Version"), "1.2.3", line);
});

test("an unknown path is 404 and a wrong method 405 with Allow, both as JSON", async () => {
  assert.equal((await ask("GET /nowhere")).body.error.code, "not_found");
  const refused = await ask("PUT /item", { name: "x" });
  assert.equal(refused.status, 405);
  assert.equal(refused.headers.get("Allow"), "GET, HEAD, POST, OPTIONS");
  assert.equal((await ask("OPTIONS /item")).status, 204);
  assert.equal((await ask("HEAD /item")).status, 200);
});

test("without its database the service is alive but not ready", async () => {
  service.state.obstacle = "no database";
  assert.equal((await ask("GET /health")).status, 200);
  const ready = await ask("GET /ready");
  assert.equal(ready.status, 503);
  assert.deepEqual(ready.body.error, { code: "not_ready", message: "no database" });
  service.state.obstacle = null;
  assert.equal((await ask("GET /ready")).status, 200);
});

test("an outage of the database is 503 with Retry-After; a bug is 500 and tells nothing of its inside", async () => {
  const store = new MemoryStore();
  store.list = async () => {
    throw unavailable("database_unavailable", "no");
  };
  store.read = async () => {
    throw new Error("secret");
  };
  const broken = await startService({ store });
  const outage = await broken.ask("GET /item");
  assert.deepEqual([outage.status, outage.headers.get("Retry-After")], [503, "1"]);
  const bug = await broken.ask("GET /item/00000000-0000-4000-8000-000000000000");
  assert.equal(bug.status, 500);
  assert.ok(!JSON.stringify(bug.body).includes("secret"));
  await broken.end();
});

test("an answer that takes too long becomes 503, and what comes later disturbs nobody", async () => {
  const store = new MemoryStore();
  store.list = () => new Promise((resolve) => setTimeout(resolve, 300, { rows: [], next: null }));
  const slow = await startService({ store, environment: { REQUEST_SECONDS: "0.1" } });
  const late = await slow.ask("GET /item");
  assert.deepEqual([late.status, late.body.error.code], [503, "timeout"]);
  await new Promise((resolve) => setTimeout(resolve, 400));
  assert.equal((await slow.ask("GET /health")).status, 200);
  await slow.end();
});

test("what is no HTTP gets a JSON answer with the version, too", async () => {
  const answer = await new Promise((resolve, reject) => {
    const socket = connect(service.port, "127.0.0.1", () => socket.write("NONSENSE\r\n\r\n"));
    let text = "";
    socket.on("data", (data) => (text += data)).on("end", () => resolve(text)).on("error", reject);
  });
  assert.match(answer, /^HTTP\/1\.1 400 /);
  assert.match(answer, /X-Version: 1\.2\.3/);
  assert.match(answer, /"invalid_request"/);
});

test("requests and answers are Express's kind from the start, so that all have one shape for V8", async () => {
  const kinds = [];
  const before = (request, response, next) => {
    kinds.push([request, response].map((one) => Object.getPrototypeOf(one) === one.constructor.prototype));
    next();
  };
  const watched = await startService({ release: { ...plainRelease, before } });
  assert.equal((await watched.ask("GET /item")).status, 200);
  await watched.end();
  assert.deepEqual(kinds, [[true, true]]);
});
