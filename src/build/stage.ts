/** One stage from its FROM to its last instruction. */
import { posix } from "node:path";
import { BuildStepError, type StepInfo } from "#build/build.ts";
import {
  type MetadataOutput,
  applyMetadata,
  shellOf,
  workingDirectory,
} from "#build/metadata-step.ts";
import { ExitError } from "#build/op/exec.ts";
import { workdirVertex } from "#build/op/workdir.ts";
import type { Planned, StagePoint } from "#build/plan.ts";
import { planCopy } from "#build/plan-copy.ts";
import { planRun } from "#build/plan-run.ts";
import { StageScope } from "#build/scope.ts";
import type { BuildSession, StageResult } from "#build/session.ts";
import type { Vertex } from "#build/solver.ts";
import { findStage, stageName } from "#build/stages.ts";
import { type StageState, type StepChange, applyStep, emptyState } from "#build/state.ts";
import { formatInstant, monotonicMs } from "#lib/clock.ts";
import { toNaruError } from "#lib/errors.ts";
import type { ArgInstruction, Stage, StageInstruction } from "#spec/dockerfile/dockerfile.ts";
import { DockerfileError } from "#spec/dockerfile/error.ts";
import { expandWord } from "#spec/dockerfile/expand.ts";
import { parseDockerfile } from "#spec/dockerfile/parse.ts";
import { parsePlatform } from "#spec/image/platform.ts";

/** Files of another time are other files. */
const withEpoch = (vertex: Vertex, mtimeMaxSeconds: number | undefined): Vertex =>
  mtimeMaxSeconds === undefined
    ? vertex
    : { ...vertex, mtimeMaxSeconds, definition: { ...vertex.definition, epoch: mtimeMaxSeconds } };

const epochInstant = (seconds: number | undefined): string | undefined =>
  seconds === undefined ? undefined : formatInstant(BigInt(seconds) * 1_000_000_000n);

export class StageRun {
  readonly #session: BuildSession;
  readonly #stage: Stage;
  readonly #scope: StageScope;
  #state: StageState;
  #hasCommand = false;
  #ordinal = 0;

  readonly #onFailed: (state: StageState) => void;

  /** `onFailed` gets what was finished before a step failed. */
  constructor(session: BuildSession, stage: Stage, onFailed: (state: StageState) => void) {
    this.#session = session;
    this.#stage = stage;
    this.#onFailed = onFailed;
    this.#state = emptyState(session.platform);
    this.#scope = new StageScope(session.dockerfile, () => this.#state.config);
  }

  async run(): Promise<StageResult> {
    const [session, stage] = [this.#session, this.#stage];
    const triggers = await this.#step(stage.from, ({ index }) => this.#from(index));
    for (const trigger of triggers) await this.#instruction(trigger, undefined);
    for (const instruction of stage.instructions) {
      session.signal.throwIfAborted();
      await this.#instruction(instruction, session.steps.get(instruction));
    }
    return { state: this.#state, declared: this.#scope.declared };
  }

  /** FROM, and the ONBUILD triggers that the base brings along. */
  async #from(step: number): Promise<StageInstruction[]> {
    const { dockerfile, request } = this.#session;
    const name = this.#session.baseOf(this.#stage);
    const base = findStage(dockerfile.stages, name, this.#stage.index);
    if (base !== undefined && !request.namedContexts.has(name)) {
      const { state, declared } = await this.#session.resultOf(base);
      for (const [key, value] of declared) this.#scope.declared.set(key, value);
      this.#adopt({ ...state, steps: [] });
      return [];
    }
    if (name === "scratch") return [];
    const platform = this.#platform();
    this.#adopt(await this.#session.imageState(name, platform, step));
    const { OnBuild, ...config } = this.#state.config;
    if (!OnBuild || OnBuild.length === 0) return [];
    this.#state = { ...this.#state, config };
    return OnBuild.flatMap(
      (text) => parseDockerfile(`FROM scratch\n${text}\n`).stages[0]?.instructions ?? [],
    );
  }

  #platform(): ReturnType<typeof parsePlatform> | undefined {
    const { platform } = this.#stage.from;
    if (platform === undefined) return this.#session.request.platform;
    const { buildArguments } = this.#session;
    const text = this.#scope.placed(platform, () =>
      expandWord(platform.text, (name) => buildArguments.lookupMeta(name)),
    );
    return parsePlatform(text.text);
  }

  #adopt(state: StageState): void {
    this.#session.held.use(this.#session.solver.hold(state.chainId));
    this.#state = state;
  }

  /** Tells of the step's begin and end; its errors say where they belong. */
  async #step<T>(
    instruction: Stage["from"] | StageInstruction,
    work: (info: StepInfo) => Promise<T>,
    told = this.#session.steps.get(instruction),
  ): Promise<T> {
    const { source, range } = instruction;
    const info = told ?? {
      index: -1,
      text: source,
      stage: stageName(this.#stage),
      line: range.start.line,
    };
    const beganMs = monotonicMs();
    await this.#emit({ kind: "start", step: info.index });
    try {
      const result = await work(info);
      if (instruction.name === "FROM") {
        const imageId = this.#state.image?.id;
        const durationMs = monotonicMs() - beganMs;
        await this.#emit({ kind: "done", step: info.index, isCached: false, imageId, durationMs });
      }
      return result;
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

  async #instruction(instruction: StageInstruction, told: StepInfo | undefined): Promise<void> {
    await this.#step(
      instruction,
      async (info) => {
        const beganMs = monotonicMs();
        const planned = await this.#plan(instruction, info);
        const isCached = await this.#solve(planned, info);
        const imageId = this.#state.image?.id;
        const durationMs = monotonicMs() - beganMs;
        await this.#emit({ kind: "done", step: info.index, isCached, imageId, durationMs });
      },
      told,
    );
  }

  #plan(instruction: StageInstruction, info: StepInfo): Promise<Planned> | Planned {
    switch (instruction.name) {
      case "RUN":
        return planRun(this.#point(info.index), instruction);
      case "COPY":
      case "ADD":
        return planCopy(this.#point(info.index), instruction);
      case "ARG":
        return this.#planArg(instruction);
      case "WORKDIR": {
        const { config } = this.#state;
        const path = workingDirectory(config, this.#scope.expand(instruction.path));
        const vertex = workdirVertex(
          this.#session.dependencies,
          posix.resolve(path),
          this.#state.chainId,
        );
        return this.#planned(vertex, this.#metadata(instruction));
      }
      case "CMD":
      case "ENTRYPOINT":
      case "ENV":
      case "EXPOSE":
      case "HEALTHCHECK":
      case "LABEL":
      case "MAINTAINER":
      case "ONBUILD":
      case "SHELL":
      case "STOPSIGNAL":
      case "USER":
      case "VOLUME": {
        const output = this.#metadata(instruction);
        if (instruction.name === "CMD") this.#hasCommand = true;
        return this.#planned(this.#configVertex(info, output), output);
      }
    }
  }

  #point(step: number): StagePoint {
    const [session, stage, scope, state] = [this.#session, this.#stage, this.#scope, this.#state];
    return { session, stage, scope, state, step };
  }

  #metadata(instruction: StageInstruction): MetadataOutput {
    return this.#scope.placed({ range: instruction.range }, () =>
      applyMetadata(instruction, {
        config: this.#state.config,
        hasCommand: this.#hasCommand,
        expand: (word) => this.#scope.expand(word),
        expandWords: (word) => this.#scope.expansion(word).words,
      }),
    );
  }

  #planned(vertex: Vertex, { config, text, author }: MetadataOutput): Planned {
    const createdBy = `${shellOf(this.#state.config).join(" ")} #(nop)  ${text}`;
    return { vertex, config, createdBy, ...(author === undefined ? {} : { author }) };
  }

  #configVertex(info: StepInfo, { config, text }: MetadataOutput): Vertex {
    return {
      description: info.text,
      definition: { op: "config", text, before: this.#state.config, after: config },
      parent: this.#state.chainId,
      inputs: {},
      run: undefined,
    };
  }

  #planArg(instruction: ArgInstruction): Planned {
    const { buildArguments } = this.#session;
    const shown: string[] = [];
    for (const { key, value } of instruction.args) {
      const name = key.text;
      // A default that needs what is not there is no fault when a value was given.
      const isGiven = this.#session.request.buildArgs.get(name) !== undefined;
      const fallback = value === undefined || isGiven ? undefined : this.#scope.expand(value);
      this.#scope.declared.set(name, buildArguments.declare(name, fallback));
      const written = isGiven ? value?.text : fallback;
      shown.push(written === undefined ? name : `${name}=${written}`);
    }
    const output = { config: this.#state.config, text: `ARG ${shown.join(" ")}` };
    const info = { index: 0, text: output.text, stage: undefined, line: 0 };
    return this.#planned(this.#configVertex(info, output), output);
  }

  /** Runs the vertex or takes it from the cache; true for the latter. */
  async #solve(planned: Planned, info: StepInfo): Promise<boolean> {
    const { request, solver, signal, held, dependencies } = this.#session;
    this.#ordinal += 1;
    const before = this.#state.chainId;
    const stage = stageName(this.#stage);
    const isCacheIgnored =
      request.isCacheIgnored ||
      request.uncachedStages.some((name) => name === stage || name === String(this.#stage.index));
    const solved = await solver
      .solve(withEpoch(planned.vertex, request.sourceDateEpoch), {
        step: [request.tags[0] ?? "", stage, this.#ordinal, info.text.split(" ")[0]].join("|"),
        isCacheIgnored,
        signal,
        onRun: (id, why) => this.#emit({ kind: "run", step: info.index, id, why }),
        onOutput: (stream, bytes) =>
          this.#emit({ kind: "output", step: info.index, stream, bytes }),
      })
      .catch((error: unknown) => {
        if (!(error instanceof ExitError)) throw error;
        const { exitCode } = error;
        const message = `The command '${planned.command ?? info.text}' returned a non-zero code: ${exitCode}`;
        throw new BuildStepError(info, message, exitCode, error);
      });
    const { chainId, created, isCached } = solved;
    held.use(solver.hold(chainId));
    const layer = chainId === undefined ? undefined : dependencies.snapshots.layer(chainId);
    const change: StepChange = {
      config: planned.config,
      chainId,
      diffId: chainId === before ? undefined : layer?.diffId,
      created: epochInstant(request.sourceDateEpoch) ?? created,
      createdBy: planned.createdBy,
      ...(planned.author === undefined ? {} : { author: planned.author }),
    };
    this.#state = applyStep(this.#state, change);
    return isCached;
  }
}
