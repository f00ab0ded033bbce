import { expect, test } from "bun:test";

import { PlatformEvents } from "#api/docker/build/platform-events.ts";
import type { BuildEvent, StepInfo } from "#build/build.ts";

const step = (index: number, stage: string | undefined): StepInfo => ({
  index,
  text: `RUN ${index}`,
  stage,
  line: index + 1,
});

const start = (index: number): BuildEvent => ({ kind: "start", step: index });

test("steps of several platforms have numbers of their own, once all plans are known", async () => {
  const told: BuildEvent[] = [];
  const events = new PlatformEvents(["linux/amd64", "linux/arm64"], async (event) => {
    told.push(event);
  });
  const first = (async () => {
    const steps = [step(0, undefined), step(1, "0"), step(2, "app")];
    await events.take("linux/arm64", { kind: "plan", steps });
    await events.take("linux/arm64", start(1));
  })();
  await Promise.resolve();
  expect(told).toEqual([]);
  await events.take("linux/amd64", { kind: "plan", steps: [step(0, "0")] });
  await events.take("linux/amd64", start(0));
  await first;
  const [plan, ...others] = told;
  expect(plan?.kind === "plan" && plan.steps.map(({ index, stage }) => [index, stage])).toEqual([
    [0, "linux/amd64"],
    [1, undefined],
    [2, "linux/arm64 stage-0"],
    [3, "linux/arm64 app"],
  ]);
  expect(others).toContainEqual(start(0));
  expect(others).toContainEqual(start(2));
});

test("what is the same of each is told once, and a failure lets the others go", async () => {
  const told: BuildEvent[] = [];
  const events = new PlatformEvents(["a", "b"], async (event) => {
    told.push(event);
  });
  const unused: BuildEvent = { kind: "unused-args", names: ["x"] };
  await events.take("a", unused);
  await events.take("b", unused);
  expect(told).toEqual([unused]);
  const waiting = events.take("a", { kind: "plan", steps: [] });
  events.abort(new Error("no such stage"));
  expect(waiting).rejects.toThrow("no such stage");
});
