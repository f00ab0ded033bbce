/** Checks in the order in which they are named; one that fails does not end the others. */
import { NAMES, remove } from "./engine.ts";
import { report } from "./report.ts";

const CHECK_TIMEOUT_MS = 60_000;

interface Check {
  readonly name: string;
  /** Answers the figures worth reading, or nothing. */
  readonly run: () => Promise<string | void>;
}

const checks: Check[] = [];

export const check = (name: string, run: Check["run"]): void => {
  checks.push({ name, run });
};

const removeContainers = async (): Promise<void> => {
  for (const name of NAMES.splice(0)) await remove(name);
};

/** Those whose names match. */
export const runChecks = async (pattern: RegExp): Promise<void> => {
  for (const { name, run } of checks.filter((each) => pattern.test(each.name))) {
    const began = performance.now();
    const ms = (): number => Math.round(performance.now() - began);
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new Error(`not done after ${CHECK_TIMEOUT_MS / 1000} s`)),
      CHECK_TIMEOUT_MS,
    );
    try {
      const figures = await Promise.race([run(), late.promise]);
      await Promise.race([removeContainers(), late.promise]);
      report({ kind: "check", name, ms: ms(), figures: figures ?? "" });
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      report({ kind: "check", name, ms: ms(), figures: "", error: text });
      await removeContainers().catch(() => undefined); // Said above already, or of a dead daemon.
    } finally {
      clearTimeout(timer);
    }
  }
};

/** Compares as JSON. */
export const equal = (actual: unknown, expected: unknown, what: string): void => {
  const [is, should] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (is !== should) throw new Error(`${what}: expected ${should}, is ${is}`);
};

export const ok = (isTrue: boolean, what: string): void => {
  if (!isTrue) throw new Error(what);
};

export const between = (value: number, low: number, high: number, what: string): void =>
  ok(value >= low && value <= high, `${what}: ${value} is not between ${low} and ${high}`);
