import { expect, test } from "bun:test";
import type { BuildEvent, StepInfo } from "#build/build.ts";
import { ClassicLines, type ClassicMessage } from "#api/docker/build/classic-lines.ts";
import { digestOf } from "#spec/image/digest.ts";

const step = (index: number, text: string, stage: string): StepInfo => ({
  index,
  text,
  stage,
  line: index + 1,
});

const STEPS = [
  step(0, "FROM a", "0"),
  step(1, "RUN one", "0"),
  step(2, "FROM b", "1"),
  step(3, "RUN two", "1"),
];

const ID = digestOf("image");
const SHORT = ID.slice(7, 19);

const start = (step: number): BuildEvent => ({ kind: "start", step });
const ran = (step: number): BuildEvent => ({ kind: "run", step, id: "c".repeat(64), why: "new" });
const said = (step: number, text: string, stream: 1 | 2 = 1): BuildEvent => ({
  kind: "output",
  step,
  stream,
  bytes: Buffer.from(text),
});
const done = (step: number, isCached = false): BuildEvent => ({
  kind: "done",
  step,
  isCached,
  imageId: ID,
  durationMs: 1,
});

const lines = (isRemoved = true) => {
  const messages: ClassicMessage[] = [];
  const classic = new ClassicLines({
    write: async (message) => void messages.push(message),
    isRemoved,
    isForceRemoved: false,
    isExplained: false,
  });
  void classic.take({ kind: "plan", steps: STEPS });
  return { classic, text: () => messages.map((m) => m.stream ?? "<aux>").join("") };
};

test("steps that run at once are told in their order", async () => {
  const { classic, text } = lines();
  const events = [
    start(0),
    start(2),
    done(2),
    start(3),
    ran(3),
    said(3, "second\n"),
    done(3),
    done(0),
    start(1),
    ran(1),
    said(1, "first\n"),
    said(1, "oops\n", 2),
    done(1),
  ];
  for (const event of events) await classic.take(event);
  await classic.settled();
  const container = `Running in ${"c".repeat(12)}\n`;
  expect(text()).toBe(
    `Step 1/4 : FROM a\n ---> ${SHORT}\nStep 2/4 : RUN one\n ---> ${container}first\n\u001b[91moops\n\u001b[0m` +
      `Removing intermediate container ${"c".repeat(12)}\n ---> ${SHORT}\n<aux>` +
      `Step 3/4 : FROM b\n ---> ${SHORT}\nStep 4/4 : RUN two\n ---> ${container}second\n` +
      `Removing intermediate container ${"c".repeat(12)}\n ---> ${SHORT}\n<aux>`,
  );
});

test("a cached step says so", async () => {
  const { classic, text } = lines();
  for (const event of [start(0), done(0), start(1), done(1, true)]) await classic.take(event);
  expect(text()).toContain(`Step 2/4 : RUN one\n ---> Using cache\n ---> ${SHORT}\n`);
});

test("a step that waits for its turn keeps no more than the limit, and waits for nobody", async () => {
  const { classic, text } = lines();
  await classic.take(start(0));
  await classic.take(start(3));
  const piece = "x".repeat(1024 * 1024);
  for (let count = 0; count < 8; count++) await classic.take(said(3, piece));
  for (const event of [done(3), done(0), start(1), done(1), start(2), done(2)]) {
    await classic.take(event);
  }
  await classic.settled();
  expect(text()).toContain("[output clipped");
  expect(text().length).toBeLessThan(6 * 1024 * 1024);
  expect(text().endsWith(` ---> ${SHORT}\n<aux>`)).toBe(true);
});

test("a character that two pieces share comes whole", async () => {
  const { classic, text } = lines();
  const bytes = Buffer.from("é");
  await classic.take(start(0));
  for (const part of [bytes.subarray(0, 1), bytes.subarray(1)]) {
    await classic.take({ kind: "output", step: 0, stream: 1, bytes: part });
  }
  expect(text()).toContain("é");
});

test("a failed step of a later stage is shown", async () => {
  const { classic, text } = lines();
  for (const event of [start(0), start(3), said(3, "why it failed\n")]) await classic.take(event);
  await classic.failed(3);
  expect(text()).toContain("Step 4/4 : RUN two\nwhy it failed\n");
});
