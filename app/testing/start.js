// A real HTTP server of the service on a free port of this machine, and a client that speaks JSON.
import { Lifecycle } from "../service/lifecycle.js";
import plainRelease from "../service/release.js";
import { createService } from "../service/service.js";
import { readSettings } from "../service/settings.js";
import { MemoryStore } from "./memory-store.js";

const ENVIRONMENT = {
  PORT: "0",
  VERSION: "1.2.3",
  SITE: "a",
  SLOT: "green",
  DATABASE_HOSTS: "127.0.0.1",
  DRAIN_SECONDS: "0.2",
  FINISH_SECONDS: "2",
};

export async function startService({ store = new MemoryStore(), environment = {}, release = plainRelease } = {}) {
  const settings = readSettings({ ...ENVIRONMENT, ...environment });
  const state = { obstacle: null };
  const readiness = { obstacle: () => (lifecycle.draining ? "the service is stopping" : state.obstacle) };
  const lifecycle = new Lifecycle(settings, createService({ settings, store, readiness, release }));
  const port = await lifecycle.listen();
  const url = `http://127.0.0.1:${port}`;
  return { url, port, lifecycle, state, store, end: () => lifecycle.end(), ask: asker(url) };
}

// ask("POST /item", {name: "x"}) -> {status, headers, body}; a string is sent as it is.
function asker(url) {
  return async (line, body, headers = {}) => {
    const [method, path] = line.split(" ");
    const response = await fetch(url + path, {
      method,
      body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
      headers: { ...(body !== undefined && { "Content-Type": "application/json" }), ...headers },
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text && JSON.parse(text) };
  };
}
