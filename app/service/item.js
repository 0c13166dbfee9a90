// An item: which fields it has, what may be in them, how it is shown.
import { badRequest } from "./errors.js";

const LARGEST_INT = 2 ** 31 - 1;
const READ_ONLY = ["id", "created_at", "updated_at"];
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

// What kinds of fields there are: what may be in one of them. `most` is the most characters, or the largest number.
const KINDS = {
  text(field, value, { most, needed }) {
    if (needed && (typeof value !== "string" || !value.trim())) {
      throw badRequest(`${field} must be a string that is not empty`, field);
    }
    if (typeof value !== "string") throw badRequest(`${field} must be a string`, field);
    if (value.length > most) throw badRequest(`${field} must have at most ${most} characters`, field);
    return value;
  },
  whole(field, value, { most }) {
    if (!Number.isInteger(value) || value < 0 || value > most) {
      throw badRequest(`${field} must be a whole number from 0 to ${most}`, field);
    }
    return value;
  },
  tags(field, value) {
    const isList = Array.isArray(value) && value.length <= 32;
    if (!isList || !value.every((tag) => typeof tag === "string" && tag.trim() && tag.length <= 50)) {
      throw badRequest(`${field} must be a list of at most 32 strings of 1 to 50 characters`, field);
    }
    return [...new Set(value)].sort();
  },
};

// How a field without a value is shown, and one with: a bigint comes from the driver as an object.
const SHOWN = {
  text: (value) => value ?? null,
  whole: (value) => (value === null || value === undefined ? null : Number(value)),
  tags: (value) => value ?? [],
};

// The fields of the first version; a release may add to them (release.js).
//   kind      see KINDS          column    its column in the table, where that has another name
//   most      see KINDS          needed    must be given, and not null
//   initial   what is there where nothing else is
const FIELDS = {
  name: { kind: "text", most: 200, needed: true },
  description: { kind: "text", most: 10_000 },
  quantity: { kind: "whole", most: LARGEST_INT },
  tags: { kind: "tags" },
};

export class ItemForm {
  #fields;
  #readOnly;
  #ignored;

  constructor({ fields = {}, computed = [], ignored = [] } = {}) {
    const names = Object.keys({ ...FIELDS, ...fields });
    this.#fields = Object.fromEntries(
      names.map((name) => [name, { column: name, initial: null, ...FIELDS[name], ...fields[name] }]),
    );
    this.#ignored = ignored;
    this.#readOnly = [...READ_ONLY, ...computed, ...ignored];
  }

  get fields() {
    return Object.keys(this.#fields);
  }

  // Returns the field's column in the table.
  column(field) {
    return this.#fields[field]?.column ?? field;
  }

  readNew(body) {
    return { ...this.#empty(), ...this.#whole(body, this.#ignored) };
  }

  readReplacement(body) {
    return { ...this.#empty(), ...this.#whole(body, this.#readOnly) };
  }

  readChanges(body) {
    const fields = this.#read(body, this.#readOnly);
    if (!Object.keys(fields).length) throw badRequest(`give at least one of ${this.fields.join(", ")}`);
    return fields;
  }

  show(row) {
    const show = ([name, { kind, initial }]) => [name, SHOWN[kind](row[name] ?? initial)];
    return {
      id: row.id,
      ...Object.fromEntries(Object.entries(this.#fields).map(show)),
      created_at: row.created_at,
      updated_at: row.updated_at ?? row.created_at,
    };
  }

  #empty() {
    return Object.fromEntries(Object.entries(this.#fields).map(([name, { initial }]) => [name, initial]));
  }

  #whole(body, ignored) {
    const fields = this.#read(body, ignored);
    for (const [name, { needed }] of Object.entries(this.#fields)) {
      if (needed && !(name in fields)) throw badRequest(`${name} is missing`, name);
    }
    return fields;
  }

  // null clears an optional field. Read-only fields may be in an update, where they are ignored, so that what was read
  // can be sent back.
  #read(body, ignored) {
    if (body === null || typeof body !== "object" || Array.isArray(body)) {
      throw badRequest("the body must be a JSON object");
    }
    const fields = {};
    for (const [name, value] of Object.entries(body)) {
      if (ignored.includes(name)) continue;
      if (!Object.hasOwn(this.#fields, name)) {
        throw badRequest(`${name} is not a field of an item that can be set`, name);
      }
      const field = this.#fields[name];
      fields[name] = value === null && !field.needed ? field.initial : KINDS[field.kind](name, value, field);
    }
    return fields;
  }
}

export function readId(value) {
  if (!UUID.test(value)) throw badRequest("the item's id must be a UUID", "id");
  return value.toLowerCase();
}
