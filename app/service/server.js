// Starts the service: settings, database, HTTP, and the end on SIGTERM.
import { Database } from "./database.js";
import { ItemForm } from "./item.js";
import { ItemStore } from "./item-store.js";
import { Lifecycle } from "./lifecycle.js";
import { log } from "./log.js";
import release from "./release.js";
import { createService } from "./service.js";
import { readSettings, SettingsError } from "./settings.js";

function assemble(settings) {
  const database = new Database(settings.database, ItemStore.probe(settings.database));
  const readiness = { obstacle: () => (lifecycle.draining ? "the service is stopping" : database.obstacle()) };
  const store = new ItemStore(database, settings.database, new ItemForm(release));
  const lifecycle = new Lifecycle(settings, createService({ settings, store, readiness, release }));
  return { database, lifecycle };
}

async function main() {
  const settings = readSettings(process.env);
  const { database, lifecycle } = assemble(settings);
  const port = await lifecycle.listen();
  database.start();
  log.notice("the service listens", { version: settings.version, site: settings.site, slot: settings.slot, port });
  const stop = async (signal) => {
    log.notice("the service is asked to stop", { signal });
    await lifecycle.end();
    await database.stop();
    log.notice("the service has stopped");
    process.exit(0);
  };
  process.once("SIGTERM", stop).once("SIGINT", stop);
}

main().catch((error) => {
  const known = error instanceof SettingsError || error.syscall === "listen";
  log.error("the service cannot start", { reason: known ? error.message : error.stack });
  process.exit(1);
});
