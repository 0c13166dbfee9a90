// An item: which fields it has, what may be in them, how it is shown.
import { badRequest } from "./errors.js";

const LARGEST_INT = 2 ** 31 - 1;
const READ_ONLY = ["id", "created_at", "updated_at"];
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

function checkText(field, value, most) {
  if (typeof value !== "string") throw badRequest(`${field} must be a string`, field);
  if (value.length > most) throw badRequest(`${field} must have at most ${most} characters`, field);
  return value;
}

const CHECKS = {
  name(value) {
    if (typeof value !== "string" || !value.trim()) throw badRequest("name must be a string that is not empty", "name");
    return checkText("name", value, 200);
  },
  description: (value) => checkText("description", value, 10_000),
  quantity(value) {
    if (!Number.isInteger(value) || value < 0 || value > LARGEST_INT) {
      throw badRequest(`quantity must be a whole number from 0 to ${LARGEST_INT}`, "quantity");
    }
    return value;
  },
  tags(value) {
    const isList = Array.isArray(value) && value.length <= 32;
    if (!isList || !value.every((tag) => typeof tag === "string" && tag.trim() && tag.length <= 50)) {
      throw badRequest("tags must be a list of at most 32 strings of 1 to 50 characters", "tags");
    }
    return [...new Set(value)].sort();
  },
};

export const FIELDS = Object.keys(CHECKS);

// null clears an optional field. Read-only fields may be in an update, where they are ignored, so that what was read
// can be sent back.
function readFields(body, ignored) {
  if (body === null || typeof body !== "object" || Array.isArray(body)) {
    throw badRequest("the body must be a JSON object");
  }
  const fields = {};
  for (const [field, value] of Object.entries(body)) {
    if (ignored.includes(field)) continue;
    if (!Object.hasOwn(CHECKS, field)) throw badRequest(`${field} is not a field of an item that can be set`, field);
    fields[field] = value === null && field !== "name" ? null : CHECKS[field](value);
  }
  return fields;
}

export function readNew(body) {
  const fields = readFields(body, []);
  if (!("name" in fields)) throw badRequest("name is missing", "name");
  return fields;
}

export function readReplacement(body, computed = []) {
  const fields = readFields(body, [...READ_ONLY, ...computed]);
  if (!("name" in fields)) throw badRequest("name is missing", "name");
  return { ...Object.fromEntries(FIELDS.map((field) => [field, null])), ...fields };
}

export function readChanges(body, computed = []) {
  const fields = readFields(body, [...READ_ONLY, ...computed]);
  if (!Object.keys(fields).length) throw badRequest(`give at least one of ${FIELDS.join(", ")}`);
  return fields;
}

export function readId(value) {
  if (!UUID.test(value)) throw badRequest("the item's id must be a UUID", "id");
  return value.toLowerCase();
}

export function show(row) {
  return {
    id: row.id,
    name: row.name,
    description: row.description ?? null,
    quantity: row.quantity ?? null,
    tags: row.tags ?? [],
    created_at: row.created_at,
    updated_at: row.updated_at ?? row.created_at,
  };
}
