import { describe, expect, test } from "bun:test";
import { decide } from "#cli/why/decide.ts";
import type { PortFact, WhyFacts } from "#cli/why/facts.ts";
import { parseListeners } from "#cli/why/listeners.ts";
import { findClue } from "#cli/why/log-clues.ts";

const calm: WhyFacts = {
  name: "web",
  status: "running",
  exitCode: 0,
  isOomKilled: false,
  startError: "",
  command: ["/app"],
  isTty: false,
  hasOpenStdin: false,
  restartCount: 0,
  restartPolicy: "no",
  memoryLimitBytes: 0,
  ranSeconds: 1.5,
  health: { status: "none", failingStreak: 0, lastExitCode: undefined, lastOutput: "" },
  logLines: [],
  ports: [],
};

const port: PortFact = {
  containerPort: 80,
  protocol: "tcp",
  hostIp: "0.0.0.0",
  hostPort: 8080,
  isAccepted: true,
  listens: "everywhere",
};

const exited = (exitCode: number, more: Partial<WhyFacts> = {}): Partial<WhyFacts> => ({
  status: "exited",
  exitCode,
  ...more,
});

const CASES: readonly (readonly [string, Partial<WhyFacts>, string, string])[] = [
  ["runs", {}, "running", "nothing seems wrong"],
  ["runs with ports", { ports: [port] }, "running", "nothing seems wrong"],
  ["never started", { status: "created" }, "not-started", "never started"],
  [
    "no such program",
    { status: "created", startError: 'exec: "/app": executable file not found in $PATH' },
    "program-missing",
    'no program "/app"',
  ],
  [
    "not executable",
    exited(126, { startError: 'exec: "/app": permission denied' }),
    "program-denied",
    "may not be executed",
  ],
  [
    "port taken at start",
    { status: "created", startError: "bind: address already in use" },
    "port-taken",
    "a port it publishes is taken",
  ],
  [
    "other start error",
    { status: "created", startError: "no such device" },
    "start-failed",
    "could not start",
  ],
  ["done", exited(0), "finished", "finished its work"],
  [
    "shell without input",
    exited(0, { command: ["sh"] }),
    "shell-without-input",
    "a shell without input",
  ],
  [
    "shell with a script is done",
    exited(0, { command: ["sh", "-c", "true"] }),
    "finished",
    "finished",
  ],
  [
    "shell with input is done",
    exited(0, { command: ["/bin/bash"], hasOpenStdin: true }),
    "finished",
    "finished",
  ],
  [
    "out of memory with limit",
    exited(137, { isOomKilled: true, memoryLimitBytes: 64 << 20 }),
    "out-of-memory",
    "more than its 64MiB",
  ],
  [
    "out of memory of the machine",
    exited(137, { isOomKilled: true }),
    "out-of-memory",
    "the machine ran out of memory",
  ],
  ["killed", exited(137), "signal", "SIGKILL"],
  ["stopped", exited(143), "signal", "SIGTERM"],
  ["crashed", exited(139), "signal", "SIGSEGV"],
  ["aborted", exited(134), "signal", "SIGABRT"],
  ["wrong CPU", exited(132), "signal", "instruction this CPU does not have"],
  [
    "command missing inside",
    exited(127, { logLines: ["sh: foo: not found"] }),
    "program-missing",
    "does not exist in the image",
  ],
  ["command denied inside", exited(126), "program-denied", "may not be executed"],
  ["plain failure", exited(3), "failed", "exit code 3"],
  [
    "failure with a clue",
    exited(1, { logLines: ["Error: listen EADDRINUSE: address already in use :::80"] }),
    "failed",
    "port is taken already",
  ],
  [
    "failure by name",
    exited(1, { logLines: ["getaddrinfo ENOTFOUND db"] }),
    "failed",
    "host name could not be resolved",
  ],
  [
    "restart loop",
    { status: "restarting", exitCode: 1, restartCount: 5, restartPolicy: "always" },
    "restarting-failed",
    "again and again (5 times",
  ],
  [
    "restart loop out of memory",
    { status: "restarting", exitCode: 137, isOomKilled: true, restartCount: 2 },
    "restarting-out-of-memory",
    "ran out of memory",
  ],
  ["dead", { status: "dead", exitCode: 1 }, "failed", "exit code 1"],
  ["paused", { status: "paused" }, "paused", "frozen"],
  [
    "unhealthy",
    {
      health: {
        status: "unhealthy",
        failingStreak: 4,
        lastExitCode: 1,
        lastOutput: "curl: (7) Connection refused",
      },
    },
    "unhealthy",
    "failed 4 times",
  ],
  [
    "starting",
    { health: { status: "starting", failingStreak: 0, lastExitCode: undefined, lastOutput: "" } },
    "starting",
    "has not succeeded yet",
  ],
  [
    "listens on loopback",
    { ports: [{ ...port, isAccepted: false, listens: "loopback" }] },
    "loopback-only",
    "127.0.0.1 only",
  ],
  [
    "listens nowhere",
    { ports: [{ ...port, isAccepted: true, listens: "nowhere" }] },
    "not-listening",
    "nothing inside listens on port 80/tcp",
  ],
  [
    "refused from outside",
    { ports: [{ ...port, isAccepted: false }] },
    "unreachable",
    "connection is refused",
  ],
  [
    "unhealthy goes before ports",
    {
      health: { status: "unhealthy", failingStreak: 1, lastExitCode: 1, lastOutput: "" },
      ports: [{ ...port, listens: "nowhere" }],
    },
    "unhealthy",
    "health check",
  ],
  ["unknown state", { status: "removing" }, "unknown", '"removing"'],
];

describe("one verdict for each story", () => {
  for (const [name, facts, kind, words] of CASES) {
    test(name, () => {
      const verdict = decide({ ...calm, ...facts });
      expect(verdict.kind).toBe(kind);
      expect(verdict.summary).toContain(words);
      expect(verdict.summary).toContain('"web"');
      if (verdict.isProblem && kind !== "unknown") {
        expect(verdict.evidence.length).toBeGreaterThan(0);
        expect(verdict.nextSteps.length).toBeGreaterThan(0);
      }
    });
  }
});

test("the way out of memory is a command that can be pasted", () => {
  const verdict = decide({
    ...calm,
    ...exited(137, { isOomKilled: true, memoryLimitBytes: 64 << 20 }),
  });
  expect(verdict.nextSteps[0]).toBe("naru update -m 128m --memory-swap -1 web && naru start web");
});

test("the last clue in the log counts", () => {
  expect(findClue(["permission denied", "no space left on device", "bye"])?.meaning).toBe(
    "the disk is full",
  );
  expect(findClue(["all is well"])).toBeUndefined();
});

test("listeners out of the kernel's tables", () => {
  const table = [
    "  sl  local_address rem_address   st tx_queue",
    "   0: 00000000:0050 00000000:0000 0A 00000000:00000000",
    "   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000",
    "   2: 0100007F:0051 0100007F:9999 01 00000000:00000000",
    "   0: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 0",
    "   1: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 0",
  ].join("\n");
  expect(parseListeners(table)).toEqual([
    { port: 80, isLoopback: false },
    { port: 8080, isLoopback: true },
    { port: 22, isLoopback: true },
    { port: 443, isLoopback: false },
  ]);
});
