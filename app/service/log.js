// Errors and notices as JSON lines on stderr, the access log as JSON lines on stdout.

function write(stream, entry) {
  stream.write(JSON.stringify({ time: new Date().toISOString(), ...entry }) + "\n");
}

export const log = {
  notice: (message, facts = {}) => write(process.stderr, { level: "notice", message, ...facts }),
  error: (message, facts = {}) => write(process.stderr, { level: "error", message, ...facts }),
};

export function accessLog(stream = process.stdout) {
  return (request, response, next) => {
    const start = process.hrtime.bigint();
    response.once("close", () => {
      write(stream, {
        method: request.method,
        path: request.originalUrl,
        status: response.statusCode,
        ms: Number(process.hrtime.bigint() - start) / 1e6,
        finished: response.writableFinished,
      });
    });
    next();
  };
}
