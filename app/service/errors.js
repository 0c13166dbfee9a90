// Errors that have an answer: {"error": {"code", "message", ...}} with the right status.
import { log } from "./log.js";

export class HttpError extends Error {
  constructor(status, code, message, facts = {}, headers = {}) {
    super(message);
    Object.assign(this, { status, code, facts, headers });
  }
}

export const badRequest = (message, field) => new HttpError(400, "invalid_request", message, field ? { field } : {});

export const notFound = (message) => new HttpError(404, "not_found", message);

export const unavailable = (code, message) => new HttpError(503, code, message, {}, { "Retry-After": "1" });

export function refuseMethod(...allowed) {
  const allow = allowed.join(", ");
  return (request, response) => {
    if (request.method === "OPTIONS") return response.status(204).set("Allow", allow).end();
    throw new HttpError(405, "method_not_allowed", `${request.method} is not possible here; ${allow} are`, {}, {
      Allow: allow,
    });
  };
}

export function refuseUnknownPath(request) {
  throw notFound(`there is nothing at ${request.path}`);
}

// What Express and its body parser throw carries a status and a type; everything else is ours or a bug.
const PARSER_CODES = {
  "entity.too.large": ["too_large", "the body is larger than this service takes"],
  "entity.parse.failed": ["invalid_request", "the body is not JSON"],
  "encoding.unsupported": ["unsupported_media_type", "a compressed body is not taken"],
  "charset.unsupported": ["unsupported_media_type", "the body must be UTF-8"],
};

function asHttpError(error) {
  if (error instanceof HttpError) return error;
  if (error.status >= 400 && error.status < 500) {
    const [code, message] = PARSER_CODES[error.type] ?? ["invalid_request", "the request cannot be understood"];
    return new HttpError(error.status, code, message);
  }
  log.error("a request failed in an unforeseen way", { error: error.stack ?? String(error) });
  return new HttpError(500, "internal", "the service failed in an unforeseen way; its log has more");
}

// Express knows an error handler by its four parameters.
export function answerErrors(error, request, response, next) {
  // A handler that comes to its end after the time-out has answered finds the answer gone already: not an error.
  if (response.headersSent) return;
  const known = asHttpError(error);
  response
    .status(known.status)
    .set(known.headers)
    .json({ error: { code: known.code, message: known.message, ...known.facts } });
}
