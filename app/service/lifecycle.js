// From listening to a graceful end.
//
// On SIGTERM: readiness goes first, and the service goes on serving while the load balancers notice, with
// `Connection: close` on every answer. Idle connections stay open in that time, for a request may be on its way on one
// of them. Then the listener closes, idle connections close, requests in flight finish, and the process ends with 0.
import { createServer } from "node:http";
import { log } from "./log.js";

const SWEEP_MS = 50;
// A connection that has sent nothing for this long after it was opened will hardly send a request in the last moment.
const SILENT_MS = 500;

export class Lifecycle {
  #settings;
  #server;
  #active = new Set();
  #silent = new Map();
  #ending = null;
  draining = false;

  constructor(settings, service) {
    this.#settings = settings;
    this.#server = createServer(options(settings, service), (request, response) => {
      this.#silent.delete(request.socket);
      this.#follow(response);
      service(request, response);
    });
    this.#server.headersTimeout = settings.keepAliveMs + 5000;
    this.#server.on("connection", (socket) => {
      this.#silent.set(socket, performance.now());
      socket.once("close", () => this.#silent.delete(socket));
    });
    this.#server.on("clientError", (error, socket) => this.#refuse(error, socket));
  }

  // Resolves with the port once it listens.
  listen() {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#settings.port, () => resolve(this.#server.address().port));
    });
  }

  // Resolves when the last request is answered, or when the time to finish is over: then with false.
  end() {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end() {
    this.draining = true;
    for (const response of this.#active) announceClose(response);
    await pause(this.#settings.drainMs);
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#sweep();
    const sweep = setInterval(() => this.#sweep(), SWEEP_MS);
    const isLate = await Promise.race([closed.then(() => false), pause(this.#settings.finishMs, true)]);
    clearInterval(sweep);
    if (isLate) {
      log.error("requests were still unanswered at the end", { requests: this.#active.size });
      this.#server.closeAllConnections();
    }
    return !isLate;
  }

  // Closes what carries no request. Node 18 does not on close(), and never counts a silent connection as idle.
  #sweep() {
    this.#server.closeIdleConnections();
    for (const [socket, since] of this.#silent) if (performance.now() - since > SILENT_MS) socket.destroy();
  }

  #follow(response) {
    this.#active.add(response);
    response.once("close", () => this.#active.delete(response));
    if (this.draining) announceClose(response);
  }

  // What is no HTTP never reaches the service; it gets an answer of the same kind all the same.
  #refuse(error, socket) {
    if (error.code === "ECONNRESET" || !socket.writable) return socket.destroy();
    const [status, code] = {
      HPE_HEADER_OVERFLOW: ["431 Request Header Fields Too Large", "too_large"],
      ERR_HTTP_REQUEST_TIMEOUT: ["408 Request Timeout", "timeout"],
    }[error.code] ?? ["400 Bad Request", "invalid_request"];
    const body = JSON.stringify({ error: { code, message: "the request cannot be understood as HTTP" } });
    const headers = [
      `X-Version: ${this.#settings.version}`,
      "Content-Type: application/json; charset=utf-8",
      `Content-Length: ${Buffer.byteLength(body)}`,
      "Connection: close",
    ];
    return socket.end(`HTTP/1.1 ${status}\r\n${headers.join("\r\n")}\r\n\r\n${body}`);
  }
}

function options(settings, service) {
  const { request, response } = service;
  return {
    keepAliveTimeout: settings.keepAliveMs,
    IncomingMessage: request.constructor,
    ServerResponse: response.constructor,
  };
}

function announceClose(response) {
  if (!response.headersSent) response.setHeader("Connection", "close");
}

function pause(milliseconds, value) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds, value));
}
