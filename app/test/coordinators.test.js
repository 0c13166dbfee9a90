import assert from "node:assert/strict";
import { test } from "node:test";
import cassandra from "cassandra-driver";
import { FailedLast, LastAnswers } from "../service/coordinators.js";

const { errors, policies, types } = cassandra;
const [a, b, c] = ["a", "b", "c"].map((address) => ({ address }));

class InOrder extends policies.loadBalancing.LoadBalancingPolicy {
  newQueryPlan(keyspace, options, callback) {
    callback(null, [a, b, c][Symbol.iterator]());
  }
}

function coordinators() {
  const clock = { now: 0 };
  const answers = new LastAnswers(() => clock.now);
  const policy = new FailedLast(new InOrder(), answers);
  const plan = () => {
    let order;
    policy.newQueryPlan(null, null, (error, hosts) => (order = [...hosts].map((host) => host.address).join("")));
    return order;
  };
  const fail = (host, error) => answers.onError(host, "", [], null, 0, error);
  return { clock, answers, plan, fail };
}
const refused = (code) => new errors.ResponseError(code, "no");
const silence = new errors.OperationTimedOutError("no answer");

test("a node that gave no answer, or that it could not do it, is asked last until it answers", () => {
  for (const error of [silence, refused(types.responseErrorCodes.writeTimeout), refused(types.responseErrorCodes.unauthorized)]) {
    const { answers, plan, fail } = coordinators();
    assert.equal(plan(), "abc");
    fail(a, error);
    assert.equal(plan(), "bca");
    fail(b, error);
    assert.equal(plan(), "cab");
    answers.onSuccess(a);
    assert.equal(plan(), "acb");
  }
});

test("a node whose answer is that the statement is wrong, or unknown to it, keeps its place", () => {
  const { plan, fail } = coordinators();
  fail(a, refused(types.responseErrorCodes.syntaxError));
  fail(a, refused(types.responseErrorCodes.unprepared));
  assert.equal(plan(), "abc");
});

test("after a while one statement tries the node again, and only one", () => {
  const { clock, answers, plan, fail } = coordinators();
  fail(a, silence);
  clock.now = 4999;
  assert.equal(plan(), "bca");
  clock.now = 5000;
  assert.equal(plan(), "abc");
  assert.equal(plan(), "bca");
  answers.onSuccess(a);
  assert.equal(plan(), "abc");
});
