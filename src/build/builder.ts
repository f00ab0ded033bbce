/** The room at work: see build.ts for what each method promises. */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { findImage } from "#build/base-image.ts";
import { BuildArguments, automaticArguments } from "#build/arguments.ts";
import type { BuildEvent, BuildRequest, BuildResult, Builds } from "#build/build.ts";
import { makeContextDirectory, readDockerfile, receiveContext } from "#build/context.ts";
import type { BuildDependencies } from "#build/dependencies.ts";
import { checkTag, exportImage, registerSteps } from "#build/export.ts";
import { fetchContext } from "#build/fetch.ts";
import { ContextTree, KeptContexts } from "#build/kept-context.ts";
import { CacheBudget } from "#build/budget.ts";
import { CacheMounts } from "#build/op/cache-mounts.ts";
import { cacheUsage, pruneCache } from "#build/prune.ts";
import { ResultFiles } from "#build/result-files.ts";
import type { BuildSession, StageResult } from "#build/session.ts";
import { Solver } from "#build/solver.ts";
import { StageRun } from "#build/stage.ts";
import { findStage, listSteps, neededStages, stageName, targetStage } from "#build/stages.ts";
import { LayerTrees, type SourceTree, contextTree } from "#build/trees.ts";
import { randomHex } from "#lib/clock.ts";
import type { Dockerfile, Stage } from "#spec/dockerfile/dockerfile.ts";
import { Complaint, DockerfileError } from "#spec/dockerfile/error.ts";
import { expandWord } from "#spec/dockerfile/expand.ts";
import { exportTree } from "#snapshot/export.ts";
import { streamOf } from "#snapshot/tree-pack.ts";
import { parseDockerfile } from "#spec/dockerfile/parse.ts";
import type { Digest } from "#spec/image/digest.ts";
import { HOST_PLATFORM } from "#spec/image/platform.ts";

/** Literal within a Dockerfile. */
const quoteWord = (text: string): string => `'${text.replaceAll("'", `'"'"'`)}'`;

/** --label counts as a last instruction of the target. */
const withLabels = (
  dockerfile: Dockerfile,
  target: Stage,
  labels: Readonly<Record<string, string>>,
): Dockerfile => {
  const entries = Object.entries(labels);
  if (entries.length === 0) return dockerfile;
  const quoted = entries.map(([key, value]) => `${quoteWord(key)}=${quoteWord(value)}`).join(" ");
  const parsed = parseDockerfile(`FROM scratch\nLABEL ${quoted.replaceAll("\n", " ")}\n`);
  const source = `LABEL ${entries.map(([key, value]) => `${key}=${value}`).join(" ")}`;
  const { range } = target.from;
  const added = (parsed.stages[0]?.instructions ?? []).map((one) => ({ ...one, source, range }));
  const stages = dockerfile.stages.map((stage) =>
    stage === target ? { ...stage, instructions: [...stage.instructions, ...added] } : stage,
  );
  return { ...dockerfile, stages };
};

/** What FROM lines say, with global ARGs in place. */
const basesOf = (
  dockerfile: Dockerfile,
  buildArguments: BuildArguments,
): ((stage: Stage) => string) => {
  const { escape } = dockerfile.directives;
  const expand = (word: { text: string; range: Stage["from"]["range"] }): string => {
    try {
      return expandWord(word.text, (name) => buildArguments.lookupMeta(name), { escape }).text;
    } catch (error) {
      if (!(error instanceof Complaint)) throw error;
      throw new DockerfileError(error.message, dockerfile.text, word.range, error);
    }
  };
  for (const { args } of dockerfile.metaArgs) {
    for (const { key, value } of args) {
      buildArguments.declareMeta(expand(key), value === undefined ? undefined : expand(value));
    }
  }
  const bases = dockerfile.stages.map((stage) => {
    const name = expand(stage.from.base);
    if (name !== "") return name;
    const reason = `base name (${stage.from.base.text}) should not be blank`;
    throw new DockerfileError(reason, dockerfile.text, stage.from.base.range);
  });
  return (stage) => bases[stage.index] ?? "";
};

class Builder implements Builds {
  readonly #dependencies: BuildDependencies;
  readonly #solver: Solver;
  readonly #cacheMounts: CacheMounts;
  readonly #kept: KeptContexts;
  readonly #budget: CacheBudget;

  constructor(dependencies: BuildDependencies) {
    this.#dependencies = dependencies;
    this.#solver = new Solver(dependencies);
    this.#cacheMounts = new CacheMounts(dependencies.paths.cacheMounts, dependencies.kernel);
    this.#kept = new KeptContexts(dependencies.paths.contexts);
    this.#budget = new CacheBudget(dependencies.paths.work, dependencies.log, (keepBytes) =>
      this.prune({ isAll: false, keepBytes, unusedSince: undefined, ids: [], kinds: [] }),
    );
  }

  receiveContext: Builds["receiveContext"] = (source, signal) =>
    receiveContext(this.#dependencies, source, signal);

  contextTree: Builds["contextTree"] = (key) => {
    const kept = key === undefined ? undefined : this.#kept.open(key);
    if (kept !== undefined) return kept;
    const { root, [Symbol.dispose]: dispose } = makeContextDirectory(this.#dependencies);
    return new ContextTree(root, undefined, dispose);
  };

  resultFiles: Builds["resultFiles"] = (chainId) => {
    const { kernel, snapshots } = this.#dependencies;
    return new ResultFiles(kernel, snapshots.view(chainId));
  };

  fetchContext: Builds["fetchContext"] = (remote, signal) =>
    fetchContext(this.#dependencies, remote, signal);

  readDockerfile: Builds["readDockerfile"] = (context, path) =>
    readDockerfile(this.#dependencies.kernel, context, path);

  get kernel(): Builds["kernel"] {
    return this.#dependencies.kernel;
  }

  exportTree(chainId: Digest | undefined): ReturnType<Builds["exportTree"]> {
    const view = this.#dependencies.snapshots.view(chainId);
    const tar = streamOf(exportTree(this.#dependencies.kernel, view.path));
    return { tar, [Symbol.dispose]: () => view[Symbol.dispose]() };
  }

  usage: Builds["usage"] = () => cacheUsage(this.#dependencies, this.#solver, this.#cacheMounts);

  prune: Builds["prune"] = (options) =>
    pruneCache(this.#dependencies, this.#solver, this.#cacheMounts, options);

  isLayerHeld: Builds["isLayerHeld"] = (chainId) => this.#solver.isLayerHeld(chainId);

  async build(request: BuildRequest): Promise<BuildResult> {
    request.signal.throwIfAborted();
    request.tags.forEach(checkTag);
    const parsed = parseDockerfile(request.dockerfile);
    const { index } = targetStage(parsed, request.target);
    const dockerfile = withLabels(parsed, targetStage(parsed, request.target), request.labels);
    const target = dockerfile.stages[index] ?? targetStage(dockerfile, request.target);
    const platform = request.platform ?? HOST_PLATFORM;
    const automatic = automaticArguments(HOST_PLATFORM, platform, stageName(target));
    const buildArguments = new BuildArguments(request.buildArgs, automatic);
    const baseOf = basesOf(dockerfile, buildArguments);
    const stages = neededStages(dockerfile, target, baseOf);
    const steps = listSteps(dockerfile, stages);
    await request.onEvent({ kind: "plan", steps: [...steps.values()] });
    using held = new DisposableStack();
    const abort = new AbortController();
    const signal = AbortSignal.any([request.signal, abort.signal]);
    const runs = new Map<Stage, Promise<StageResult>>();
    const session: BuildSession = {
      dependencies: this.#dependencies,
      request,
      dockerfile,
      steps,
      buildArguments,
      solver: this.#solver,
      cacheMounts: this.#cacheMounts,
      trees: held.use(new LayerTrees(this.#dependencies)),
      signal,
      held,
      platform,
      baseOf,
      resultOf: (stage) => {
        const running = runs.get(stage);
        if (running !== undefined) return running;
        const run = new StageRun(session, stage, (state) => {
          if (request.keepsStepImages) registerSteps(this.#dependencies, state);
        }).run();
        runs.set(stage, run);
        run.catch((error: unknown) => abort.abort(error)); // Told below, by the first that failed.
        return run;
      },
      imageState: (name, wanted, step) =>
        findImage(this.#dependencies, request, name, wanted, step),
      treeOf: (name, stage, step) => this.#treeOf(session, name, stage, step),
      emit: async (event: BuildEvent) => await request.onEvent(event),
      temporaryTree: (name) => this.#temporaryTree(held, name),
    };
    for (const step of dockerfile.metaArgs.keys()) {
      await request.onEvent({ kind: "start", step });
      await request.onEvent({
        kind: "done",
        step,
        isCached: false,
        imageId: undefined,
        durationMs: 0,
      });
    }
    return await this.#finish(session, stages, target, abort);
  }

  async #finish(
    session: BuildSession,
    stages: readonly Stage[],
    target: Stage,
    abort: AbortController,
  ): Promise<BuildResult> {
    const { request } = session;
    const settled = await Promise.allSettled(stages.map((stage) => session.resultOf(stage)));
    request.signal.throwIfAborted();
    if (abort.signal.aborted) throw abort.signal.reason;
    for (const result of settled) if (result.status === "rejected") throw result.reason;
    const { state } = await session.resultOf(target);
    const unused = session.buildArguments.unused();
    if (unused.length > 0) await session.emit({ kind: "unused-args", names: unused });
    const result = await exportImage(this.#dependencies, request, state);
    this.#budget.check();
    return result;
  }

  async #treeOf(
    session: BuildSession,
    name: string,
    stage: Stage,
    step: number,
  ): Promise<SourceTree> {
    const { request, trees, dockerfile } = session;
    if (name === "") return contextTree(request.context, "the build context");
    const context = request.namedContexts.get(name);
    if (context?.kind === "tree") return contextTree(context.context, `context ${name}`);
    const found =
      context === undefined ? findStage(dockerfile.stages, name, stage.index) : undefined;
    if (found !== undefined) {
      const { state } = await session.resultOf(found);
      return trees.tree(state.chainId, `stage ${stageName(found)}`);
    }
    if (name === "scratch") return trees.tree(undefined, "scratch");
    const state = await session.imageState(name, request.platform, step);
    session.held.use(this.#solver.hold(state.chainId));
    return trees.tree(state.chainId, `image ${name}`);
  }

  #temporaryTree(held: DisposableStack, name: string): { root: string } {
    const directory = `${this.#dependencies.paths.work}/${name}-${randomHex(8)}`;
    mkdirSync(directory, { mode: 0o700 });
    held.defer(() => rmSync(directory, { recursive: true, force: true }));
    return { root: `${directory}/tree` };
  }
}

/** Removes what a killed daemon left. To be called once, before the first build. */
export const sweepBuilds = async ({
  kernel,
  paths,
  runtime,
}: Pick<BuildDependencies, "kernel" | "paths" | "runtime">): Promise<void> => {
  await runtime.sweepRuns();
  for (const directory of [paths.bundles, paths.work]) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const mount of kernel.mountsUnder(directory)) kernel.unmount(mount);
    for (const name of readdirSync(directory)) {
      rmSync(`${directory}/${name}`, { recursive: true, force: true });
    }
  }
};

/** `sweepBuilds` has run. */
export const createBuilder = (dependencies: BuildDependencies): Builds => new Builder(dependencies);
