// The routes of /item.
import express from "express";
import { badRequest, HttpError, notFound, refuseMethod } from "./errors.js";
import { ItemForm, readId } from "./item.js";

const DEFAULT_LIMIT = 100;
const MOST_ITEMS = 1000;
const BODY_LIMIT = "64kb";
const PAGE_STATE = /^(?:[0-9a-f]{2}){1,2048}$/;

function readPage(query) {
  const { limit = String(DEFAULT_LIMIT), page_state: pageState = null } = query;
  const size = typeof limit === "string" && /^\d{1,4}$/.test(limit) ? Number(limit) : 0;
  if (size < 1 || size > MOST_ITEMS) throw badRequest(`limit must be a number from 1 to ${MOST_ITEMS}`, "limit");
  if (pageState !== null && (typeof pageState !== "string" || !PAGE_STATE.test(pageState))) {
    throw badRequest("page_state must be what an earlier answer had in next", "page_state");
  }
  return { size, pageState };
}

function requireJson(request, response, next) {
  const length = request.get("Content-Length");
  const hasBody = request.get("Transfer-Encoding") !== undefined || (length !== undefined && length !== "0");
  if (hasBody && !request.is("application/json")) {
    throw new HttpError(415, "unsupported_media_type", "the body must be application/json");
  }
  if (!hasBody) throw badRequest("the body is missing; give a JSON object");
  next();
}

export function itemRoutes(store, release) {
  const routes = express.Router();
  const body = [requireJson, express.json({ limit: BODY_LIMIT, inflate: false })];
  const form = new ItemForm(release);
  const present = (row) => release.present(form.show(row));

  // The clock that orders this write among others, for whoever checks that none was lost.
  const written = (response, timestamp) => response.set("X-Write-Timestamp", String(timestamp));

  async function list(request, response) {
    const { rows, next } = await store.list(readPage(request.query));
    response.json({ items: rows.map(present), next });
  }

  async function create(request, response) {
    const { row, timestamp } = await store.create(form.readNew(request.body));
    written(response, timestamp).status(201).location(`/item/${row.id}`).json(present(row));
  }

  async function read(request, response) {
    const id = readId(request.params.id);
    const row = await store.read(id);
    if (!row) throw notFound(`there is no item ${id}`);
    response.json(present(row));
  }

  function update(readBody) {
    return async (request, response) => {
      const id = readId(request.params.id);
      const outcome = await store.update(id, readBody(request.body));
      if (!outcome) throw notFound(`there is no item ${id}`);
      written(response, outcome.timestamp).json(present(outcome.row));
    };
  }

  async function remove(request, response) {
    const timestamp = await store.remove(readId(request.params.id));
    written(response, timestamp).status(204).end();
  }

  routes.route("/item").get(list).post(body, create).all(refuseMethod("GET", "HEAD", "POST", "OPTIONS"));
  routes
    .route("/item/:id")
    .get(read)
    .put(body, update((sent) => form.readReplacement(sent)))
    .patch(body, update((sent) => form.readChanges(sent)))
    .delete(remove)
    .all(refuseMethod("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"));
  return routes;
}
