// The HTTP side of the service: what answers where. It has no port and no database of its own.
import { IncomingMessage, ServerResponse } from "node:http";
import express from "express";
import { answerErrors, HttpError, refuseMethod, refuseUnknownPath, unavailable } from "./errors.js";
import { itemRoutes } from "./items.js";
import { accessLog } from "./log.js";

export const NAME = "item-service";

// Answers by itself, for `next` of a request may go through the handlers only once.
function answerWithin(milliseconds) {
  return (request, response, next) => {
    const answer = () => {
      const error = unavailable("timeout", "the answer took too long; a write may still have happened");
      answerErrors(error, request, response);
    };
    const timer = setTimeout(answer, milliseconds);
    response.once("close", () => clearTimeout(timer));
    next();
  };
}

function statusRoutes(settings, readiness) {
  const routes = express.Router();
  const only = refuseMethod("GET", "HEAD", "OPTIONS");
  routes.route("/health").get((request, response) => response.json({ status: "alive" })).all(only);
  routes
    .route("/ready")
    .get((request, response) => {
      const obstacle = readiness.obstacle();
      if (obstacle) throw new HttpError(503, "not_ready", obstacle);
      response.json({ status: "ready" });
    })
    .all(only);
  routes
    .route("/version")
    .get((request, response) => {
      response.json({ name: NAME, version: settings.version, site: settings.site, slot: settings.slot });
    })
    .all(only);
  return routes;
}

// Has the server make requests and answers that Express need not give its own prototype to. It does that to each one
// otherwise, and V8 (up to Node 22) then makes a new shape for every property that is set on it, so that no
// access to it is ever quick.
function withOwnKinds(service) {
  class Request extends IncomingMessage {}
  class Response extends ServerResponse {}
  service.request = Object.setPrototypeOf(Request.prototype, service.request);
  service.response = Object.setPrototypeOf(Response.prototype, service.response);
  return service;
}

// store: see item-store.js; readiness: {obstacle() -> text or null}; release: see release.js.
export function createService({ settings, store, readiness, release }) {
  const service = withOwnKinds(express());
  service.disable("x-powered-by").disable("etag");
  service.use((request, response, next) => {
    response.set("X-Version", settings.version);
    next();
  });
  if (settings.accessLog) service.use(accessLog());
  service.use(statusRoutes(settings, readiness));
  service.use(answerWithin(settings.requestMs));
  if (release.before) service.use(release.before);
  service.use(itemRoutes(store, release));
  service.use(refuseUnknownPath);
  service.use(answerErrors);
  return service;
}
