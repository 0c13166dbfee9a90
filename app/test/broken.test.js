// Each broken release is broken in the one way that its manifest says, and good in every other.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { startService } from "../testing/start.js";

const APP = fileURLToPath(new URL("..", import.meta.url));
const FORWARDED = { "X-Forwarded-For": "192.0.2.1" };

// The service ends with the test, also when that fails.
async function start(t, version) {
  const { default: release } = await import(`../releases/${version}/release.js`);
  const service = await startService({ release, environment: { VERSION: version } });
  t.after(() => service.end());
  return service;
}

async function statuses(service, count, line, headers) {
  const found = [];
  for (let index = 0; index < count; index += 1) found.push((await service.ask(line, undefined, headers)).status);
  return found;
}

// Starts a program of a release among the files it needs; a server.js of the test's own takes the place of the real.
async function run(version, program, server, environment) {
  const directory = await mkdtemp(join(tmpdir(), "broken-"));
  await cp(join(APP, "service", "log.js"), join(directory, "log.js"));
  await cp(join(APP, "releases", version, program), join(directory, program));
  await writeFile(join(directory, "package.json"), JSON.stringify({ type: "module" }));
  await writeFile(join(directory, "server.js"), server);
  const process_ = spawn(process.execPath, [program], { cwd: directory, env: { ...process.env, ...environment } });
  const started = performance.now();
  const code = await new Promise((resolve) => process_.once("exit", resolve));
  await rm(directory, { recursive: true });
  return { code, seconds: (performance.now() - started) / 1000 };
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

test("9.1.0 exits at once, with 1", async () => {
  assert.equal((await run("9.1.0", "exit.js", "", {})).code, 1);
});

for (const version of ["9.2.0", "9.8.0"]) {
  test(`${version} is ready but cannot list`, async (t) => {
    const service = await start(t, version);
    assert.equal((await service.ask("GET /ready")).status, 200);
    const list = await service.ask("GET /item?limit=1");
    assert.deepEqual([list.status, list.body.error.code, list.headers.get("X-Version")], [500, "internal", version]);
    assert.equal((await service.ask("POST /item", { name: "x" })).status, 201);
  });
}

test("9.3.0 answers items rightly but slowly, and is ready quickly", async (t) => {
  const service = await start(t, "9.3.0");
  const asked = performance.now();
  assert.equal((await service.ask("GET /ready")).status, 200);
  assert.ok(performance.now() - asked < 500);
  const times = await Promise.all(
    [1, 2, 3].map(async () => {
      assert.equal((await service.ask("GET /item")).status, 200);
      return performance.now() - asked;
    }),
  );
  assert.ok(Math.min(...times) >= 1450);
  assert.ok(Math.max(...times) >= 2950);
});

test("9.4.0 fails on every 20th request that came through a load balancer, and on no other", async (t) => {
  const service = await start(t, "9.4.0");
  assert.deepEqual([...new Set(await statuses(service, 60, "GET /item"))], [200]);
  const forwarded = await statuses(service, 100, "GET /item", FORWARDED);
  assert.equal(forwarded.filter((status) => status === 500).length, 5);
  assert.equal(forwarded.filter((status) => status === 200).length, 95);
  assert.deepEqual([...new Set(await statuses(service, 30, "GET /ready", FORWARDED))], [200]);
});

test("9.5.0 keeps memory outside of the heap with each request of items", async (t) => {
  const service = await start(t, "9.5.0");
  const before = process.memoryUsage();
  await statuses(service, 6, "GET /item");
  const after = process.memoryUsage();
  assert.ok(after.arrayBuffers - before.arrayBuffers >= 5 * 24 * 1024 * 1024, "it is kept");
  assert.ok(after.heapUsed - before.heapUsed < 24 * 1024 * 1024);
});

test("9.6.0 crashes, with 1, some time after it became ready and not sooner", async () => {
  const port = await freePort();
  const server = `
    import { createServer } from "node:http";
    const started = performance.now();
    const ready = () => performance.now() - started > 1000;
    createServer((request, response) => response.writeHead(ready() ? 200 : 503).end()).listen(process.env.PORT);`;
  const { code, seconds } = await run("9.6.0", "crash.js", server, { PORT: String(port), CRASH_SECONDS: "1" });
  assert.equal(code, 1);
  assert.ok(seconds >= 2 && seconds < 10, `it ended after ${seconds} s`);
});
