/** One stage from its FROM to its last instruction. */
import { BuildStepError, type FailedProcess, type StepInfo } from "#build/build.ts";
import { findInImages } from "#build/cache-images.ts";
import { importStep } from "#build/cache-import.ts";
import { classicCreatedBy } from "#build/created-by.ts";
import { graftLayer } from "#build/graft.ts";
import { copyVertex } from "#build/op/copy.ts";
import { ExitError } from "#build/op/exec.ts";
import { workdirVertex } from "#build/op/workdir.ts";
import type { Planned } from "#build/plan.ts";
import { planCopy } from "#build/plan-copy.ts";
import { planRun } from "#build/plan-run.ts";
import type { BuildSession, StageResult } from "#build/session.ts";
import type { Imported, Solved, Vertex } from "#build/solver.ts";
import { stageName } from "#build/stages.ts";
import {
  type StageState,
  type StepChange,
  applyStep,
  emptyState,
  epochInstant,
} from "#build/state.ts";
import { monotonicMs } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import type { Stage, StageInstruction } from "#spec/dockerfile/dockerfile.ts";
import { DockerfileError } from "#spec/dockerfile/error.ts";
import type { Plan, PlannedStage, Source, Step } from "#spec/dockerfile/plan.ts";
import { planDockerfile } from "#spec/dockerfile/plan-graph.ts";
import type { Digest } from "#spec/image/digest.ts";
import { resolveStage } from "#spec/dockerfile/plan-stage.ts";
import type { StageBase } from "#spec/dockerfile/stage-state.ts";

/** Files of another time are other files. */
const withEpoch = (vertex: Vertex, mtimeMaxSeconds: number | undefined): Vertex =>
  mtimeMaxSeconds === undefined
    ? vertex
    : { ...vertex, mtimeMaxSeconds, definition: { ...vertex.definition, epoch: mtimeMaxSeconds } };

const DESCRIPTION_MAX = 1000;
const HISTORY_COMMENT = "buildkit.dockerfile.v0";

/** A stage's beginning: what its instructions see, and the plan with the triggers that the base brought. */
interface Begun {
  readonly plan: Plan;
  readonly planned: PlannedStage;
  readonly base: StageBase;
}

export const plannedStage = ({ stages }: Plan, index: number): PlannedStage => {
  const found = stages.find((stage) => stage.index === index);
  if (found === undefined) throw new NaruError("internal", `stage ${index} is not in the plan`);
  return found;
};

export class StageRun {
  readonly #session: BuildSession;
  readonly #planned: PlannedStage;
  readonly #onFailed: (state: StageState) => void;
  #plan: Plan;
  #state: StageState;
  #ordinal = 0;

  /** `onFailed` gets what was finished before a step failed. */
  constructor(
    session: BuildSession,
    plan: Plan,
    index: number,
    onFailed: (state: StageState) => void,
  ) {
    this.#session = session;
    this.#plan = plan;
    this.#planned = plannedStage(plan, index);
    this.#onFailed = onFailed;
    this.#state = emptyState(this.#planned.platform);
  }

  async run(): Promise<StageResult> {
    const [{ signal }, { stage }] = [this.#session, this.#planned];
    const beganMs = monotonicMs();
    const from = this.#infoOf(stage.from);
    const { plan, planned, base } = await this.#step(from, () => this.#from(from.index));
    const begun = async (): Promise<void> => {
      const imageId = this.#state.image?.id;
      const durationMs = monotonicMs() - beganMs;
      await this.#emit({ kind: "done", step: from.index, isCached: false, imageId, durationMs });
    };
    const hasTriggers = planned.instructions.some(({ isTrigger }) => isTrigger);
    if (!hasTriggers) await begun();
    this.#plan = plan;
    const resolved = resolveStage(plan, planned, base);
    const triggers = resolved.steps.filter(({ isTrigger }) => isTrigger);
    for (const [position, step] of triggers.entries()) {
      signal.throwIfAborted();
      await this.#trigger(step, from, position + 1, triggers.length);
    }
    if (hasTriggers) await begun();
    for (const step of resolved.steps) {
      signal.throwIfAborted();
      if (!step.isTrigger) await this.#instruction(step);
    }
    return { state: this.#state, resolved };
  }

  #infoOf(instruction: Stage["from"] | StageInstruction): StepInfo {
    const { source: text, range } = instruction;
    const stage = stageName(this.#planned.stage);
    const told = this.#session.steps.get(instruction);
    return told ?? { index: -1, text, stage, line: range.start.line };
  }

  /** FROM, and the ONBUILD triggers that the base brings along. */
  async #from(step: number): Promise<Begun> {
    const [plan, planned] = [this.#plan, this.#planned];
    const source = planned.base;
    if (source.kind === "stage") {
      const { state, resolved } = await this.#session.resultOf(source.index, plan);
      this.#adopt({ ...state, steps: [] });
      return { plan, planned, base: { kind: "stage", state: resolved.state } };
    }
    if (source.kind === "scratch" || this.#isTree(source)) {
      if (source.kind !== "scratch") await this.#beginWithTree(source, step);
      return { plan, planned, base: { kind: "scratch" } };
    }
    const isPlatformAsked = planned.stage.from.platform !== undefined;
    this.#adopt(await this.#session.imageState(source, isPlatformAsked, step));
    const { config, author } = this.#state;
    const base: StageBase = { kind: "image", config, author };
    const triggers = config.OnBuild ?? [];
    if (triggers.length === 0) return { plan, planned, base };
    const options = { ...plan.options, triggers: new Map([[planned.index, triggers]]) };
    const withTriggers = planDockerfile(plan.dockerfile, options);
    const again = plannedStage(withTriggers, planned.index);
    return { plan: withTriggers, planned: again, base };
  }

  #isTree(source: Source): boolean {
    const { namedContexts } = this.#session.request;
    return source.kind === "named" && namedContexts.get(source.name)?.kind === "tree";
  }

  /** A directory as a base: its files are the first layer. */
  async #beginWithTree(source: Source, step: number): Promise<void> {
    const { dependencies, signal } = this.#session;
    const tree = await this.#session.treeOf(source, this.#plan, step);
    const from = [{ tree, sources: ["."], isUnpacked: false }];
    const vertex = await copyVertex(
      dependencies,
      {
        keyword: "COPY",
        from,
        destination: "/",
        chown: undefined,
        chmod: undefined,
        excludes: [],
        isParents: false,
        isLink: false,
        isClassic: false,
        parent: undefined,
      },
      signal,
    );
    const info = this.#infoOf(this.#planned.stage.from);
    const solved = await this.#solveVertex(vertex, info, info.text, vertex.description);
    const { config } = this.#state;
    await this.#apply(vertex, solved, { config, createdBy: vertex.description, comment: "" });
  }

  #adopt(state: StageState): void {
    this.#session.held.use(this.#session.solver.hold(state.chainId));
    this.#state = state;
  }

  /** Tells of the step's begin and failure; its errors say where they belong. */
  async #step<T>(info: StepInfo, work: () => Promise<T>): Promise<T> {
    await this.#emit({ kind: "start", step: info.index });
    return await this.#guarded(info, work);
  }

  async #guarded<T>(info: StepInfo, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const { message } = toNaruError(error);
      if (!this.#session.signal.aborted) {
        this.#onFailed(this.#state);
        await this.#emit({ kind: "failed", step: info.index, message });
      }
      throw this.#stepError(info, error);
    }
  }

  #stepError(info: StepInfo, error: unknown): unknown {
    if (error instanceof BuildStepError || error instanceof DockerfileError) return error;
    if (this.#session.signal.aborted) return error;
    const naru = toNaruError(error);
    if (naru.code === "canceled" || naru.code === "internal") return error;
    const exitCode = error instanceof ExitError ? error.exitCode : undefined;
    return new BuildStepError(info, naru.message, exitCode, error);
  }

  async #emit(event: Parameters<BuildSession["emit"]>[0]): Promise<void> {
    if ("step" in event && event.step < 0) return;
    await this.#session.emit(event);
  }

  async #instruction(step: Step): Promise<void> {
    const info = this.#infoOf(step.instruction);
    await this.#step(info, async () => {
      const beganMs = monotonicMs();
      const planned = await this.#planStep(step, info);
      const isCached = await this.#run(step, planned, info);
      const imageId = this.#state.image?.id;
      const durationMs = monotonicMs() - beganMs;
      await this.#emit({ kind: "done", step: info.index, isCached, imageId, durationMs });
    });
  }

  /** It has no place of its own in the Dockerfile: what it says, and its failure, are its FROM's. */
  async #trigger(step: Step, from: StepInfo, number: number, total: number): Promise<void> {
    const text = `ONBUILD ${step.instruction.source}`;
    const told = { kind: "trigger" as const, step: from.index, text, number, total };
    const info = { ...from, text };
    await this.#guarded(info, async () => {
      await this.#emit(told);
      const isCached = await this.#run(step, await this.#planStep(step, info), info);
      await this.#emit({ ...told, isCached });
    });
  }

  #planStep(step: Step, info: StepInfo): Promise<Planned> | Planned {
    const { dependencies, request } = this.#session;
    const state = this.#state;
    const point = { session: this.#session, plan: this.#plan, state, step: info.index };
    switch (step.kind) {
      case "run":
        return planRun(point, step);
      case "copy":
        return planCopy(point, step);
      case "workdir": {
        // The classic builder makes it for root, whoever USER is.
        const user = request.keepsStepImages ? "" : step.user;
        return { vertex: workdirVertex(dependencies, step.path, user, state.chainId) };
      }
      case "config": {
        const definition = { op: "config", text: step.createdBy, before: state.config };
        const vertex: Vertex = {
          description: info.text,
          definition: { ...definition, after: step.config },
          parent: state.chainId,
          inputs: {},
          run: undefined,
        };
        return { vertex };
      }
    }
  }

  /** Runs the vertex or takes it from the cache; true for the latter. */
  async #run(step: Step, { vertex, content }: Planned, info: StepInfo): Promise<boolean> {
    const command = step.kind === "run" ? step.args.join(" ") : info.text;
    const { keepsStepImages: isClassic } = this.#session.request;
    const { instruction, config } = step;
    const createdBy = isClassic
      ? classicCreatedBy(step, this.#state.config, content ?? "")
      : step.createdBy;
    const process =
      step.kind === "run" ? { ...step, workingDir: step.cwd, parent: vertex.parent } : undefined;
    const solved = await this.#solveVertex(vertex, info, command, createdBy, process);
    await this.#apply(vertex, solved, {
      config,
      createdBy,
      comment: isClassic ? "" : HISTORY_COMMENT,
      isUntold: !isClassic && instruction.name === "ONBUILD",
      ...(instruction.name === "MAINTAINER" ? { author: instruction.maintainer.text } : {}),
    });
    return solved.isCached;
  }

  /** What other machines, or images of them, say that the step gives. */
  async #lookUp(key: Digest, vertex: Vertex, createdBy: string): Promise<Imported | undefined> {
    const { dependencies, request, solver, signal, held } = this.#session;
    const caches = request.imports ?? [];
    const found = await importStep(dependencies, solver, held, caches, key, signal);
    if (found !== undefined) return { ...found.step, chainId: found.chainId };
    // A layer of its own is not what the image has there.
    const names = vertex.isLinked === true ? [] : (request.cacheImages ?? []);
    return findInImages(dependencies, names, this.#state, createdBy);
  }

  async #solveVertex(
    vertex: Vertex,
    info: StepInfo,
    command: string,
    createdBy: string,
    process?: FailedProcess,
  ): Promise<Solved> {
    const { request, solver, signal, solved } = this.#session;
    this.#ordinal += 1;
    const { stage } = this.#planned;
    const name = stageName(stage);
    const isCacheIgnored =
      request.isCacheIgnored ||
      request.uncachedStages.some((one) => one === name || one === String(stage.index));
    try {
      const done = await solver.solve(withEpoch(vertex, request.sourceDateEpoch), {
        step: [request.tags[0] ?? "", name, this.#ordinal, info.text.split(" ")[0]].join("|"),
        isCacheIgnored,
        signal,
        lookup: (key) => this.#lookUp(key, vertex, createdBy),
        onRun: (id, why) => this.#emit({ kind: "run", step: info.index, id, why }),
        onOutput: (stream, bytes) =>
          this.#emit({ kind: "output", step: info.index, stream, bytes }),
      });
      const { key, chainId, created } = done;
      solved.push({
        stage: stage.index,
        key,
        chainId,
        createdAt: created,
        description: vertex.description.slice(0, DESCRIPTION_MAX),
        hasLayer: chainId !== undefined && chainId !== vertex.parent,
        isOfResult: false,
      });
      return done;
    } catch (error) {
      if (!(error instanceof ExitError)) throw error;
      const { exitCode } = error;
      const message = `The command '${command}' returned a non-zero code: ${exitCode}`;
      throw new BuildStepError(info, message, exitCode, error, process);
    }
  }

  async #apply(
    { isLinked }: Vertex,
    { chainId: made, created }: Solved,
    change: Omit<StepChange, "chainId" | "diffId" | "created">,
  ): Promise<void> {
    const { request, solver, signal, held, dependencies } = this.#session;
    const before = this.#state.chainId;
    held.use(solver.hold(made));
    const chainId = isLinked === true ? await graftLayer(dependencies, made, before, signal) : made;
    held.use(solver.hold(chainId));
    const layer = chainId === undefined ? undefined : dependencies.snapshots.layer(chainId);
    this.#state = applyStep(this.#state, {
      ...change,
      chainId,
      diffId: chainId === before ? undefined : layer?.diffId,
      created: epochInstant(request.sourceDateEpoch) ?? created,
    });
  }
}
