// Broken on purpose: the service as ever, and a minute after it became ready it exits with 1.
import { log } from "./log.js";
import "./server.js";

// Shorter in tests.
const CRASH_MS = 1000 * Number(process.env.CRASH_SECONDS || 60);
const POLL_MS = 250;

async function isReady() {
  try {
    const response = await fetch(`http://127.0.0.1:${process.env.PORT}/ready`, { headers: { Connection: "close" } });
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false;
  }
}

async function crashOnceReady() {
  if (!(await isReady())) return setTimeout(crashOnceReady, POLL_MS);
  return setTimeout(() => {
    log.error("the service crashes", { reason: "this version is broken on purpose: it crashes after a minute" });
    process.exit(1);
  }, CRASH_MS);
}

crashOnceReady();
