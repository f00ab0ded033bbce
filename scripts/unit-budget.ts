/**
 * Loaded before the quick unit tests: each has so much processor time and no more. A busy machine makes
 * tests wait, so their deadline is generous; it does not make them work more.
 */
import { afterEach, beforeEach } from "bun:test";

const BUDGET_MS = 10_000;

let before = process.cpuUsage();
beforeEach(() => {
  before = process.cpuUsage();
});
afterEach(() => {
  const { user, system } = process.cpuUsage(before);
  const spentMs = (user + system) / 1000;
  if (spentMs > BUDGET_MS) {
    throw new Error(
      `this test used ${Math.round(spentMs)} ms of processor time, of ${BUDGET_MS}: make it smaller, or a *.host.test.ts`,
    );
  }
});
