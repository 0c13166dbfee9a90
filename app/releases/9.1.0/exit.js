// Broken on purpose: ends before it listens, each time it is started.
import { log } from "./log.js";

log.error("the service cannot start", { reason: "this version is broken on purpose: it will not start" });
process.exit(1);
