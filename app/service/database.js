// The session with Cassandra: connects and keeps trying, tells whether it can serve, runs statements.
import cassandra from "cassandra-driver";
import { Admission } from "./admission.js";
import { FailedLast, LastAnswers, isOutage } from "./coordinators.js";
import { unavailable } from "./errors.js";
import { log } from "./log.js";

const { errors, policies, types } = cassandra;
const RETRY_MS = 1000;
const PROBE_MS = 1000;
// One slow probe does not make a service unready: that would take every instance out together when all are busy.
const FRESH_MS = 10_000;
const MOST_RETRIES = 2;
// A database that is only slow gets slower from being asked again, so a time-out is followed by one more try.
const MOST_RETRIES_AFTER_TIMEOUT = 1;
// Outages shorter than this are waited out rather than answered with an error. A lost node is such an outage for lists:
// until the others have noticed, some seconds, a coordinator may wait for its part in vain.
const PATIENCE_MS = 7000;
const PAUSE_MS = 200;
const LOG_MS = 10_000;

// Every statement of this service is idempotent: keys and timestamps are chosen before it is sent, so sending it
// twice is writing it once. After a failure another coordinator gets it.
class AnotherNode extends policies.retry.RetryPolicy {
  #decide(info, most) {
    return info.nbRetry < most ? this.retryResult(undefined, false) : this.rethrowResult();
  }
  onReadTimeout(info) {
    return this.#decide(info, MOST_RETRIES_AFTER_TIMEOUT);
  }
  onWriteTimeout(info) {
    return this.#decide(info, MOST_RETRIES_AFTER_TIMEOUT);
  }
  onUnavailable(info) {
    return this.#decide(info, MOST_RETRIES);
  }
  onRequestError(info, consistency, error) {
    const isTimeout = error instanceof errors.OperationTimedOutError;
    return this.#decide(info, isTimeout ? MOST_RETRIES_AFTER_TIMEOUT : MOST_RETRIES);
  }
}

function clientOptions(settings) {
  const { hosts, port, datacenter, user, timeoutMs } = settings;
  const authority = settings.authority();
  const answers = new LastAnswers();
  return {
    contactPoints: hosts,
    protocolOptions: { port },
    localDataCenter: datacenter,
    ...(user && { credentials: { username: user, password: settings.password() } }),
    ...(authority && { sslOptions: { ca: [authority], rejectUnauthorized: true } }),
    queryOptions: { consistency: types.consistencies.localQuorum, prepare: true, isIdempotent: true },
    // A connection on which many statements stay unanswered is given up: its node may be cut off without a word. Not
    // sooner, for a node that is only slow would be lost, and the others slower still.
    socketOptions: { connectTimeout: timeoutMs, readTimeout: timeoutMs, defunctReadTimeoutThreshold: 32 },
    pooling: { heartBeatInterval: 10_000 },
    requestTracker: answers,
    policies: {
      // Replicas first, but after the others one that owes many answers and gives none.
      loadBalancing: new FailedLast(new policies.loadBalancing.DefaultLoadBalancingPolicy(datacenter), answers),
      retry: new AnotherNode(),
      reconnection: new policies.reconnection.ExponentialReconnectionPolicy(500, 5000, false),
    },
  };
}

export class Database {
  #settings;
  #probe;
  #client = null;
  #admission;
  #clock = new policies.timestampGeneration.MonotonicTimestampGenerator();
  #lastSuccess = -Infinity;
  #lastLogged = -Infinity;
  #obstacle = "not connected to the database yet";
  #stopped = false;
  #timer = null;

  // probe: {query, parameters()}: a cheap statement that proves that the service's table can be read.
  constructor(settings, probe) {
    this.#settings = settings;
    this.#probe = probe;
    this.#admission = new Admission(settings.concurrency);
  }

  // Why the service cannot serve now, or null if it can.
  obstacle() {
    return performance.now() - this.#lastSuccess < FRESH_MS ? null : this.#obstacle ?? "the database is slow";
  }

  // Begins to connect; never fails, for the service is alive without its database.
  start() {
    this.#watch();
  }

  async stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#client?.shutdown().catch(() => {});
  }

  // Returns the rows and the next page's state. Throws HttpError 503 where the database cannot do it now.
  async execute(query, parameters, options = {}) {
    const patient = performance.now() + PATIENCE_MS;
    for (;;) {
      try {
        return await this.#admission.run(() => this.#executeOnce(query, parameters, options));
      } catch (error) {
        // While the service is not ready, a statement may be wrong only because its table is not there yet.
        if (!isOutage(error) && !this.obstacle()) throw error;
        this.#failed(error);
        if (this.obstacle() || performance.now() > patient) {
          throw unavailable("database_unavailable", "the database cannot do this now; a write may still have happened");
        }
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }
  }

  // Returns microseconds since 1970 that never go back, and are later than `other` where that is given: what was
  // written by an instance whose clock is ahead must be surpassed too.
  timestampAfter(other = 0) {
    return Math.max(Number(this.#clock.next(this.#client)), other + 1);
  }

  async #executeOnce(query, parameters, options) {
    if (!this.#client) throw new errors.NoHostAvailableError({}, "not connected");
    const result = await this.#client.execute(query, parameters, options);
    this.#succeeded();
    return result;
  }

  async #watch() {
    try {
      if (!this.#client) this.#client = await this.#connect();
      if (this.#client && !this.#stopped) {
        await this.#client.execute(this.#probe.query, this.#probe.parameters());
        this.#succeeded();
      }
    } catch (error) {
      this.#failed(error);
    }
    if (!this.#stopped) this.#timer = setTimeout(() => this.#watch(), this.#client ? PROBE_MS : RETRY_MS);
  }

  async #connect() {
    const client = new cassandra.Client(clientOptions(this.#settings));
    client.on("hostUp", (host) => log.notice("a database node is up", { node: host.address }));
    client.on("hostDown", (host) => log.notice("a database node is down", { node: host.address }));
    // What the driver cannot tell any caller, as an answer that belongs to no request.
    client.on("log", (level, className, message) => {
      if (level === "error") log.error("the database driver reports an error", { from: className, reason: `${message}` });
    });
    try {
      await client.connect();
      return client;
    } catch (error) {
      await client.shutdown().catch(() => {});
      throw error;
    }
  }

  #succeeded() {
    if (this.obstacle()) log.notice("the database answers");
    this.#obstacle = null;
    this.#lastSuccess = performance.now();
  }

  #failed(error) {
    this.#obstacle = explain(error);
    if (performance.now() - this.#lastLogged < LOG_MS) return;
    this.#lastLogged = performance.now();
    log.error("the database did not answer", { reason: this.#obstacle, ready: !this.obstacle() });
  }
}

function explain(error) {
  const inner = error instanceof errors.NoHostAvailableError ? Object.values(error.innerErrors ?? {})[0] : null;
  return `the database cannot be used: ${inner?.message ?? error.message ?? "no node is connected"}`;
}
