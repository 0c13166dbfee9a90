// Which database node is asked. One that is cut off from the others still takes statements, keeps each until its time
// is up, and then answers: to the driver's own policies it looks alive. So whoever failed last is asked last.
import cassandra from "cassandra-driver";

const { policies, tracker, types } = cassandra;
// How long a node that failed is asked last, until one statement tries it again.
const AVOIDED_MS = 5000;

// Whether the database could not do it now. Otherwise the statement itself was wrong.
export function isOutage(error) {
  const { protocolError, syntaxError, invalid, configError, alreadyExists } = types.responseErrorCodes;
  const isWrong = [protocolError, syntaxError, invalid, configError, alreadyExists].includes(error.code);
  const isBug = error instanceof TypeError || error instanceof cassandra.errors.ArgumentError;
  return !isWrong && !isBug;
}

// Remembers the nodes whose last answer was that they could not do it, or who gave none. The driver reports each
// attempt here, those too that it repeats by itself.
export class LastAnswers extends tracker.RequestTracker {
  #failedAt = new Map();
  #now;

  constructor(now = () => performance.now()) {
    super();
    this.#now = now;
  }

  onSuccess(host) {
    this.#failedAt.delete(host.address);
  }

  onError(host, query, parameters, options, length, error) {
    // A node that does not know a prepared statement, as after its restart, is told it by the driver.
    if (isOutage(error) && error.code !== types.responseErrorCodes.unprepared) this.#failedAt.set(host.address, this.#now());
  }

  // Whether the node is to be asked last. Once its time is up, the first who asks is told no, and tries it for all.
  isAvoided(host) {
    const failedAt = this.#failedAt.get(host.address);
    if (failedAt === undefined) return false;
    if (this.#now() - failedAt < AVOIDED_MS) return true;
    this.#failedAt.set(host.address, this.#now());
    return false;
  }
}

// The nodes in the order of another policy, those to be avoided after the others.
export class FailedLast extends policies.loadBalancing.LoadBalancingPolicy {
  #order;
  #answers;

  constructor(order, answers) {
    super();
    this.#order = order;
    this.#answers = answers;
  }

  init(client, hosts, callback) {
    this.#order.init(client, hosts, callback);
  }

  getDistance(host) {
    return this.#order.getDistance(host);
  }

  newQueryPlan(keyspace, options, callback) {
    this.#order.newQueryPlan(keyspace, options, (error, plan) => {
      if (error) return callback(error);
      const [first, last] = [[], []];
      for (const host of plan) (this.#answers.isAvoided(host) ? last : first).push(host);
      return callback(null, [...first, ...last][Symbol.iterator]());
    });
  }
}
