// Items in Cassandra, at LOCAL_QUORUM, without lightweight transactions: a table that a release mirrors with triggers
// refuses those.
//
// A row is an item while it has created_at, which only create() writes. So an update that overtakes a delete leaves
// no item behind, only a few cells that nobody sees: the delete stands.
import { randomUUID } from "node:crypto";
import cassandra from "cassandra-driver";
import { badRequest } from "./errors.js";
import { FIELDS } from "./item.js";

const { types } = cassandra;
const SHOWN = ["id", ...FIELDS, "created_at", "updated_at"].join(", ");

export class ItemStore {
  #database;
  #statements;

  constructor(database, settings) {
    this.#database = database;
    this.#statements = statements(settings);
  }

  // The readiness probe: any key will do, and a new one each time asks other replicas each time.
  static probe(settings) {
    return { query: statements(settings).exists, parameters: () => [types.Uuid.fromString(randomUUID())] };
  }

  async list({ size, pageState }) {
    const options = { fetchSize: size, pageState: pageState ?? undefined };
    const result = await this.#database.execute(this.#statements.list, [], options).catch((error) => {
      throw isBadPage(error, pageState) ? badRequest("page_state does not fit this list", "page_state") : error;
    });
    return { rows: result.rows.filter((row) => row.created_at !== null).map(plain), next: result.pageState ?? null };
  }

  async read(id) {
    const row = (await this.#database.execute(this.#statements.read, [id])).first();
    return row?.created_at ? plain(row) : null;
  }

  async create(fields) {
    const timestamp = this.#database.timestampAfter();
    const now = new Date(Math.floor(timestamp / 1000));
    const row = { id: randomUUID(), ...fields, created_at: now, updated_at: now };
    const values = ["id", ...FIELDS, "created_at", "updated_at"].map((field) => row[field] ?? types.unset);
    await this.#database.execute(this.#statements.create, values, { timestamp });
    return { row, timestamp };
  }

  // Returns the updated row, or null where there is none.
  async update(id, changes) {
    const before = (await this.#database.execute(this.#statements.readForUpdate, [id])).first();
    if (!before?.created_at) return null;
    const timestamp = this.#database.timestampAfter(Number(before.written));
    const row = { ...plain(before), ...changes, updated_at: new Date(Math.floor(timestamp / 1000)) };
    const values = FIELDS.map((field) => (field in changes ? changes[field] : types.unset));
    await this.#database.execute(this.#statements.update, [...values, row.updated_at, id], { timestamp });
    return { row, timestamp };
  }

  // Deletes whether or not the row is visible: a create that nobody has acknowledged may still arrive.
  async remove(id) {
    const before = (await this.#database.execute(this.#statements.readForUpdate, [id])).first();
    const timestamp = this.#database.timestampAfter(Number(before?.written ?? 0));
    await this.#database.execute(this.#statements.remove, [id], { timestamp });
    return timestamp;
  }
}

function statements({ keyspace, table: name }) {
  const table = `${keyspace}.${name}`;
  const assignments = [...FIELDS, "updated_at"].map((field) => `${field} = ?`).join(", ");
  const marks = SHOWN.split(", ").map(() => "?").join(", ");
  return {
    list: `SELECT ${SHOWN} FROM ${table}`,
    read: `SELECT ${SHOWN} FROM ${table} WHERE id = ?`,
    readForUpdate: `SELECT ${SHOWN}, writetime(updated_at) AS written FROM ${table} WHERE id = ?`,
    exists: `SELECT id FROM ${table} WHERE id = ?`,
    create: `INSERT INTO ${table} (${SHOWN}) VALUES (${marks})`,
    update: `UPDATE ${table} SET ${assignments} WHERE id = ?`,
    remove: `DELETE FROM ${table} WHERE id = ?`,
  };
}

function plain(row) {
  const fields = Object.fromEntries(SHOWN.split(", ").map((field) => [field, row[field]]));
  return { ...fields, id: row.id.toString() };
}

function isBadPage(error, pageState) {
  const { protocolError, invalid } = types.responseErrorCodes;
  return pageState !== null && [protocolError, invalid].includes(error.code);
}
