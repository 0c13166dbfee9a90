import assert from "node:assert/strict";
import { test } from "node:test";
import { Admission } from "../service/admission.js";

test("no more run at once than allowed, and all run in the order they came", async () => {
  const admission = new Admission(3);
  const started = [];
  let running = 0;
  let most = 0;
  const task = (number) => async () => {
    started.push(number);
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 5));
    running -= 1;
  };
  await Promise.all(Array.from({ length: 20 }, (_, number) => admission.run(task(number))));
  assert.equal(most, 3);
  assert.deepEqual(started, Array.from({ length: 20 }, (_, number) => number));
});

test("a task that fails makes room for the next", async () => {
  const admission = new Admission(1);
  const failing = admission.run(() => Promise.reject(new Error("no")));
  const next = admission.run(async () => "yes");
  await assert.rejects(failing, /no/);
  assert.equal(await next, "yes");
});
