import assert from "node:assert/strict";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { test } from "node:test";
import { MemoryStore } from "../testing/memory-store.js";
import { startService } from "../testing/start.js";

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function ask(service, path, agent) {
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port: service.port, path, agent }, (response) => {
      response.resume().on("end", () => resolve({ status: response.statusCode, headers: response.headers }));
    });
    sent.on("error", reject).end();
  });
}

test("once it is asked to stop, readiness goes at once while requests are still served", async () => {
  const service = await startService({ environment: { DRAIN_SECONDS: "2" } });
  const ending = service.end();
  const ready = await ask(service, "/ready");
  const item = await ask(service, "/item");
  assert.deepEqual([ready.status, item.status, (await ask(service, "/health")).status], [503, 200, 200]);
  assert.equal(item.headers.connection, "close");
  await ending;
  await assert.rejects(ask(service, "/health"), { code: "ECONNREFUSED" });
});

test("a request in flight is answered, and its connection closed politely", async () => {
  const store = new MemoryStore();
  store.list = () => pause(500).then(() => ({ rows: [], next: null }));
  const service = await startService({ store });
  const answer = ask(service, "/item", new Agent({ keepAlive: true }));
  await pause(50);
  const ending = service.end();
  assert.deepEqual([(await answer).status, (await answer).headers.connection], [200, "close"]);
  await ending;
});

test("an idle connection may still carry a request while draining, and does not hold up the end", async () => {
  const service = await startService({ environment: { DRAIN_SECONDS: "1" } });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  assert.equal((await ask(service, "/health", agent)).headers.connection, "keep-alive");
  const ending = service.end();
  assert.equal((await ask(service, "/item", agent)).status, 200);
  const silent = connect(service.port, "127.0.0.1");
  silent.on("error", () => {});
  assert.equal(await ending, true);
});

test("a request that never ends is given up after the time to finish", async () => {
  const store = new MemoryStore();
  store.list = () => new Promise(() => {});
  const service = await startService({ store, environment: { FINISH_SECONDS: "0.3" } });
  const answer = ask(service, "/item");
  await pause(50);
  const [, isComplete] = await Promise.all([assert.rejects(answer), service.end()]);
  assert.equal(isComplete, false);
});

test("a connection outlives the load balancer's patience with an idle one", async () => {
  const service = await startService();
  assert.equal((await ask(service, "/health", new Agent({ keepAlive: true }))).headers["keep-alive"], "timeout=65");
  await service.end();
});
