// What makes a version differ from the others: its own release.js, or the shared one where it has none.
import { existsSync } from "node:fs";

export async function releaseOf(version) {
  const own = new URL(`../releases/${version}/release.js`, import.meta.url);
  const { default: release } = await import(existsSync(own) ? own : "../service/release.js");
  return release;
}
