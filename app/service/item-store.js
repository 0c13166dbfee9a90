// Items in Cassandra, at LOCAL_QUORUM, without lightweight transactions: a table that a release mirrors with triggers
// refuses those.
//
// A row is an item while it has created_at, which only create() writes. So an update that overtakes a delete leaves
// no item behind, only a few cells that nobody sees: the delete stands.
import { randomUUID } from "node:crypto";
import cassandra from "cassandra-driver";
import { badRequest } from "./errors.js";

const { types } = cassandra;

export class ItemStore {
  #database;
  #form;
  #all;
  #statements;

  // form: which fields there are, and in which columns (item.js).
  constructor(database, settings, form) {
    this.#database = database;
    this.#form = form;
    this.#all = ["id", ...form.fields, "created_at", "updated_at"];
    this.#statements = statements(settings, form, this.#all);
  }

  // The readiness probe: any key will do, and a new one each time asks other replicas each time.
  static probe(settings) {
    return { query: exists(settings), parameters: () => [types.Uuid.fromString(randomUUID())] };
  }

  async list({ size, pageState }) {
    const options = { fetchSize: size, pageState: pageState ?? undefined };
    const result = await this.#database.execute(this.#statements.list, [], options).catch((error) => {
      throw isBadPage(error, pageState) ? badRequest("page_state does not fit this list", "page_state") : error;
    });
    const rows = result.rows.filter((row) => row.created_at !== null).map((row) => this.#plain(row));
    return { rows, next: result.pageState ?? null };
  }

  async read(id) {
    const row = (await this.#database.execute(this.#statements.read, [id])).first();
    return row?.created_at ? this.#plain(row) : null;
  }

  async create(fields) {
    const timestamp = this.#database.timestampAfter();
    const now = new Date(Math.floor(timestamp / 1000));
    const row = { id: randomUUID(), ...fields, created_at: now, updated_at: now };
    const values = this.#all.map((field) => row[field] ?? types.unset);
    await this.#database.execute(this.#statements.create, values, { timestamp });
    return { row, timestamp };
  }

  // Returns the updated row, or null where there is none.
  async update(id, changes) {
    const before = (await this.#database.execute(this.#statements.readForUpdate, [id])).first();
    if (!before?.created_at) return null;
    const timestamp = this.#database.timestampAfter(Number(before.written));
    const row = { ...this.#plain(before), ...changes, updated_at: new Date(Math.floor(timestamp / 1000)) };
    const values = this.#form.fields.map((field) => (field in changes ? changes[field] : types.unset));
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

  #plain(row) {
    return { ...Object.fromEntries(this.#all.map((field) => [field, row[field]])), id: row.id.toString() };
  }
}

const exists = ({ keyspace, table }) => `SELECT id FROM ${keyspace}.${table} WHERE id = ?`;

// Answers have the fields' names, whatever the columns are called.
function statements(settings, form, all) {
  const table = `${settings.keyspace}.${settings.table}`;
  const columns = all.map((field) => form.column(field));
  const named = (field) => (form.column(field) === field ? field : `${form.column(field)} AS ${field}`);
  const shown = all.map(named).join(", ");
  const assignments = [...form.fields, "updated_at"].map((field) => `${form.column(field)} = ?`).join(", ");
  const marks = all.map(() => "?").join(", ");
  return {
    list: `SELECT ${shown} FROM ${table}`,
    read: `SELECT ${shown} FROM ${table} WHERE id = ?`,
    readForUpdate: `SELECT ${shown}, writetime(updated_at) AS written FROM ${table} WHERE id = ?`,
    create: `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${marks})`,
    update: `UPDATE ${table} SET ${assignments} WHERE id = ?`,
    remove: `DELETE FROM ${table} WHERE id = ?`,
  };
}

function isBadPage(error, pageState) {
  const { protocolError, invalid } = types.responseErrorCodes;
  return pageState !== null && [protocolError, invalid].includes(error.code);
}
