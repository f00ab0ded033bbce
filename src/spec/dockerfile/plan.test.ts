import { expect, test } from "bun:test";

import { DockerfileError } from "#spec/dockerfile/error.ts";
import { parseDockerfile } from "#spec/dockerfile/parse.ts";
import { unusedBuildArgs } from "#spec/dockerfile/plan-args.ts";
import { baseImages, planDockerfile } from "#spec/dockerfile/plan-graph.ts";
import { resolveStage } from "#spec/dockerfile/plan-stage.ts";
import type { Plan, PlanOptions, ResolvedStage } from "#spec/dockerfile/plan.ts";
import type { StageBase } from "#spec/dockerfile/stage-state.ts";
import { parsePlatform } from "#spec/image/platform.ts";

const AMD64 = parsePlatform("linux/amd64");
const OPTIONS: PlanOptions = {
  buildArgs: new Map(),
  targetPlatform: AMD64,
  buildPlatform: AMD64,
};

const plan = (text: string, options: Partial<PlanOptions> = {}): Plan =>
  planDockerfile(parseDockerfile(text), { ...OPTIONS, ...options });

/** All stages in order, each on an image that has only a PATH. */
const resolve = (planned: Plan): ResolvedStage[] => {
  const done = new Map<number, ResolvedStage>();
  for (const stage of planned.stages) {
    const below = stage.base.kind === "stage" ? done.get(stage.base.index) : undefined;
    const base =
      below === undefined
        ? ({ kind: "image", config: { Env: ["PATH=/bin"] } } as StageBase)
        : ({ kind: "stage", state: below.state } as StageBase);
    done.set(stage.index, resolveStage(planned, stage, base));
  }
  return [...done.values()];
};

test("only the stages that the target reads are in the plan", () => {
  const text =
    "FROM a AS one\nFROM b AS two\nFROM one AS three\nCOPY --from=two x y\nFROM c\nRUN x";
  const stagesOf = (target: string | undefined) =>
    plan(text, { target }).stages.map((stage) => stage.label);
  expect(stagesOf("three")).toEqual(["one", "two", "three"]);
  expect(stagesOf("two")).toEqual(["two"]);
  expect(stagesOf(undefined)).toEqual(["stage-3"]);
  expect(baseImages(plan(text, { target: "three" })).map((b) => b.image.reference)).toEqual([
    "docker.io/library/a:latest",
    "docker.io/library/b:latest",
  ]);
});

test("named contexts go before stages and images", () => {
  const text = "FROM debian:latest AS base\nRUN x\nFROM base\nCOPY --from=alpine:3 a b";
  const planned = plan(text, { contexts: new Set(["debian", "alpine:3"]) });
  expect(planned.stages[0]?.base).toEqual({ kind: "named", name: "debian" });
  expect(planned.stages[1]?.instructions[0]?.sources).toEqual([
    { kind: "named", name: "alpine:3" },
  ]);
});

test("a named context stands in the place of the stage of its name", () => {
  const text = "FROM debian AS base\nRUN x\nONBUILD RUN y\nFROM base\nCOPY a b";
  const [base, last] = plan(text, { contexts: new Set(["base"]) }).stages;
  expect(base?.base).toEqual({ kind: "named", name: "base" });
  expect(base?.instructions).toEqual([]);
  expect(last?.instructions.map(({ instruction }) => instruction.name)).toEqual(["COPY"]);
});

test("mounts with variables are read when these are known", () => {
  const text =
    "FROM debian\nARG I\nRUN --mount=type=secret,id=$I x\nRUN --mount=type=$I,sharing=locked y";
  expect(plan(text).stages[0]?.instructions).toHaveLength(3);
});

test("triggers of a base run first, and may need further stages", () => {
  const text = "FROM x AS tool\nFROM base\nRUN own";
  const triggers = new Map([[1, ["COPY --from=tool a b", "ENV A=1"]]]);
  const planned = plan(text, { triggers });
  expect(planned.stages.map((stage) => stage.label)).toEqual(["tool", "stage-1"]);
  expect(resolve(planned)[1]?.steps.map((step) => step.createdBy)).toEqual([
    "COPY a b # buildkit",
    "ENV A=1",
    "RUN /bin/sh -c own # buildkit",
  ]);
});

test("ARGs: global ones are seen by FROM and by stages that repeat them", () => {
  const text = "ARG V=1\nFROM a:$V\nRUN 1\nARG V\nARG W=$V\nRUN 2";
  const buildArgs = new Map([["V", "9"]]);
  const planned = plan(text, { buildArgs });
  const [stage] = resolve(planned);
  expect(planned.stages[0]?.base).toMatchObject({ reference: "docker.io/library/a:9" });
  expect(stage?.steps.map((step) => step.createdBy)).toEqual([
    "RUN /bin/sh -c 1 # buildkit",
    "ARG V=9",
    "ARG W=9",
    "RUN |2 V=9 W=9 /bin/sh -c 2 # buildkit",
  ]);
  expect(stage?.state.config.Env).toEqual(["PATH=/bin"]);
});

test("an error in an expansion points at its word", () => {
  try {
    resolve(plan("FROM a\nENV A=1 B=${C:?needed}"));
    throw new Error("it was taken");
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error;
    expect(error.reason).toContain("C: needed");
    expect(error.range.start).toEqual({ line: 2, column: 11 });
  }
});

test("an unknown target says what could have been meant", () => {
  expect(() => plan("FROM a AS build", { target: "biuld" })).toThrow("did you mean build?");
});

test("a stage is read only from below it", () => {
  expect(() => plan("FROM a AS x\nCOPY --from=x a b")).toThrow("circular dependency");
  expect(() => plan("FROM a AS x\nCOPY --from=y a b\nFROM x AS y")).toThrow(
    "needs to be defined before",
  );
});

test("build arguments that nothing takes are known", () => {
  const file = parseDockerfile("ARG A\nFROM a\nARG B");
  const given = new Map(["A", "B", "C", "http_proxy", "TARGETARCH"].map((name) => [name, ""]));
  expect(unusedBuildArgs(file, given, new Map([["TARGETARCH", ""]]))).toEqual(["C"]);
});
