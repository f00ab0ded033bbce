/** Checks, two at a time, in the order in which they are named; one that fails does not end the others. */
import { madeByCheck, remove } from "./engine.ts";
import { report } from "./report.ts";

/** Emulated on a busy machine everything takes many times as long. */
const CHECK_TIMEOUT_MS = 240_000;
/** Most of them wait for one program after the other: the machine has two processors. */
const LANES = 2;

interface Check {
  readonly name: string;
  readonly isAlone: boolean;
  /** Answers the figures worth reading, or nothing. */
  readonly run: () => Promise<string | void>;
}

const checks: Check[] = [];

export const check = (name: string, run: Check["run"]): void => {
  checks.push({ name, isAlone: false, run });
};

/** For checks that measure, or that concern the whole machine: nothing else runs meanwhile. */
export const alone = (name: string, run: Check["run"]): void => {
  checks.push({ name, isAlone: true, run });
};

const runCheck = async ({ name, run }: Check, made: string[]): Promise<void> => {
  const began = performance.now();
  const ms = (): number => Math.round(performance.now() - began);
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`not done after ${CHECK_TIMEOUT_MS / 1000} s`)),
    CHECK_TIMEOUT_MS,
  );
  const removeMade = async (): Promise<void> => {
    for (const container of made.splice(0)) await remove(container);
  };
  try {
    const figures = await Promise.race([run(), late.promise]);
    await Promise.race([removeMade(), late.promise]);
    report({ kind: "check", name, ms: ms(), figures: figures ?? "" });
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    report({ kind: "check", name, ms: ms(), figures: "", error: text });
    await removeMade().catch(() => undefined); // Said above already, or of a dead daemon.
  } finally {
    clearTimeout(timer);
  }
};

/** Those whose names match. */
export const runChecks = async (pattern: RegExp): Promise<void> => {
  const running = new Set<Promise<void>>();
  for (const each of checks.filter(({ name }) => pattern.test(name))) {
    while (running.size >= (each.isAlone ? 1 : LANES)) await Promise.race(running);
    const made: string[] = [];
    const task = madeByCheck.run(made, () => runCheck(each, made));
    running.add(task);
    void task.finally(() => running.delete(task));
    if (each.isAlone) await task;
  }
  await Promise.all(running);
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
