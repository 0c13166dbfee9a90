// ItemStore's interface over a Map: for the tests of HTTP behaviour, never for serving. The real store is tested in
// test/database.test.js and by the system tests.
import { randomUUID } from "node:crypto";

export class MemoryStore {
  #rows = new Map();
  #timestamp = 0;

  async list({ size, pageState }) {
    const rows = [...this.#rows.values()];
    const start = pageState ? parseInt(pageState, 16) : 0;
    const next = start + size < rows.length ? (start + size).toString(16).padStart(8, "0") : null;
    return { rows: rows.slice(start, start + size), next };
  }

  async read(id) {
    return this.#rows.get(id) ?? null;
  }

  async create(fields) {
    const now = new Date();
    const row = { id: randomUUID(), ...fields, created_at: now, updated_at: now };
    this.#rows.set(row.id, row);
    return { row, timestamp: ++this.#timestamp };
  }

  async update(id, changes) {
    const before = this.#rows.get(id);
    if (!before) return null;
    const row = { ...before, ...changes, updated_at: new Date() };
    this.#rows.set(id, row);
    return { row, timestamp: ++this.#timestamp };
  }

  async remove(id) {
    this.#rows.delete(id);
    return ++this.#timestamp;
  }
}
