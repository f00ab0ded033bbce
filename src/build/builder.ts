/** The room at work: see build.ts for what each method promises. */
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { exportCache, withInlineCache } from "#build/cache-export.ts";
import { openCache } from "#build/cache-import.ts";
import { scanLayers } from "#build/attest/scan.ts";
import { imageMaterial } from "#build/materials.ts";
import { findImage } from "#build/base-image.ts";
import type { BuildEvent, BuildRequest, BuildResult, Builds } from "#build/build.ts";
import { makeContextDirectory, readDockerfile, receiveContext } from "#build/context.ts";
import type { BuildDependencies } from "#build/dependencies.ts";
import { checkEntitlements } from "#build/entitlements.ts";
import { checkTag, exportImage, registerConfig, registerSteps } from "#build/export.ts";
import { fetchContext } from "#build/fetch.ts";
import { BuildHistory } from "#build/history.ts";
import { ContextTree } from "#build/kept-context.ts";
import { KeptContexts, type KeptTree, sweepKept } from "#build/kept-contexts.ts";
import type { ContainerExits } from "#build/llb/container.ts";
import { importLayers, registerTree } from "#build/llb/image.ts";
import { CacheBudget } from "#build/budget.ts";
import { LayerChildren } from "#build/op/layer-children.ts";
import { CacheMounts } from "#build/op/cache-mounts.ts";
import { cacheUsage, pruneCache } from "#build/prune.ts";
import { ResultFiles } from "#build/result-files.ts";
import type { BuildSession, StageResult } from "#build/session.ts";
import { Solver } from "#build/solver.ts";
import { StageRun } from "#build/stage.ts";
import { checkClassicTarget, listSteps, stageName, withLabelStep } from "#build/stages.ts";
import { type StageState, bareImage, epochInstant, withLabels } from "#build/state.ts";
import { LayerTrees, type SourceTree, contextTree } from "#build/trees.ts";
import { now, randomHex, sleep } from "#lib/clock.ts";
import { exportTree } from "#snapshot/export.ts";
import { streamOf } from "#snapshot/tree-pack.ts";
import { NaruError } from "#lib/errors.ts";
import { parseDockerfile } from "#spec/dockerfile/parse.ts";
import { unusedBuildArgs } from "#spec/dockerfile/plan-args.ts";
import { planDockerfile } from "#spec/dockerfile/plan-graph.ts";
import type { Plan, PlanOptions, Source } from "#spec/dockerfile/plan.ts";
import type { Digest } from "#spec/image/digest.ts";
import { HOST_PLATFORM } from "#spec/image/platform.ts";

const planOf = (request: BuildRequest): Plan => {
  const parsed = parseDockerfile(request.dockerfile);
  const isClassic = request.keepsStepImages;
  if (isClassic) checkClassicTarget(parsed, request.target);
  const given = [...request.buildArgs].flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, value]],
  );
  const options: PlanOptions = {
    target: request.target,
    buildArgs: new Map(given),
    targetPlatform: request.platform ?? HOST_PLATFORM,
    buildPlatform: HOST_PLATFORM,
    contexts: new Set(request.namedContexts.keys()),
  };
  const plan = planDockerfile(parsed, options);
  if (!isClassic || Object.keys(request.labels).length === 0) return plan;
  return planDockerfile(withLabelStep(parsed, plan.target, request.labels), options);
};

/** The target, the stage it is built on, and so on. */
const stagesBelow = ({ stages, target }: Plan): ReadonlySet<number> => {
  const below = new Set<number>();
  for (let index: number | undefined = target; index !== undefined;) {
    below.add(index);
    const base: Source | undefined = stages.find((stage) => stage.index === index)?.base;
    index = base?.kind === "stage" ? base.index : undefined;
  }
  return below;
};

class Builder implements Builds {
  readonly #dependencies: BuildDependencies;
  readonly #solver: Solver;
  readonly #cacheMounts: CacheMounts;
  readonly #kept: KeptContexts;
  readonly #budget: CacheBudget;
  readonly history: BuildHistory;
  #exits: ContainerExits | undefined;

  constructor(given: Omit<BuildDependencies, "layerChildren">) {
    const dependencies = { ...given, layerChildren: new LayerChildren(given) };
    this.#dependencies = dependencies;
    this.#solver = new Solver(dependencies);
    this.#cacheMounts = new CacheMounts(dependencies.paths.cacheMounts, dependencies.kernel);
    this.#kept = new KeptContexts(dependencies.paths.contexts, dependencies.kernel);
    this.history = new BuildHistory(dependencies.paths.history, dependencies.historyRows);
    this.#budget = new CacheBudget(dependencies.paths.work, dependencies.log, (keepBytes) =>
      this.prune({ isAll: false, keepBytes, unusedSince: undefined, ids: [], kinds: [] }),
    );
  }

  receiveContext: Builds["receiveContext"] = (source, signal, key) => {
    const keep = (): KeptTree | undefined =>
      key === undefined ? undefined : this.#kept.reserve(key);
    return receiveContext(this.#dependencies, source, keep, signal);
  };

  contextTree: Builds["contextTree"] = async (key) => {
    const onChange = (): void => this.#expectLayer();
    const kept = key === undefined ? undefined : await this.#kept.open(key, onChange);
    if (kept !== undefined) return kept;
    const { root, [Symbol.dispose]: dispose } = makeContextDirectory(this.#dependencies);
    const { kernel } = this.#dependencies;
    return await ContextTree.open({ root, listPath: undefined, kernel, dispose });
  };

  /** A large context has changed: what copies it will run. */
  #expectLayer(): void {
    const { layerChildren, snapshots } = this.#dependencies;
    if (snapshots.newLayers().form === "erofs") layerChildren.expect();
  }

  resultFiles: Builds["resultFiles"] = (chainId) => {
    const { kernel, snapshots } = this.#dependencies;
    return new ResultFiles(kernel, snapshots.view(chainId));
  };

  /** Loaded at the first use: most builds are Dockerfiles. */
  solveLlb: Builds["solveLlb"] = async (request, held) => {
    checkEntitlements(request.entitlements, this.#dependencies.entitlements);
    const { solveGraph } = await import("#build/llb/solve.ts");
    const rooms = {
      dependencies: this.#dependencies,
      solver: this.#solver,
      cacheMounts: this.#cacheMounts,
    };
    const chainId = await solveGraph(rooms, request, held);
    this.#budget.check();
    return chainId;
  };

  runFrontend: Builds["runFrontend"] = async (run) => {
    const { runFrontend } = await import("#build/llb/frontend.ts");
    using _held = this.#solver.hold(run.chainId);
    await runFrontend(this.#dependencies, this.#cacheMounts, run);
  };

  openContainer: Builds["openContainer"] = async (request) => {
    checkEntitlements(request.entitlements, this.#dependencies.entitlements);
    const { ContainerExits, openContainer } = await import("#build/llb/container.ts");
    this.#exits ??= new ContainerExits(this.#dependencies.runtime);
    const rooms = {
      dependencies: this.#dependencies,
      solver: this.#solver,
      cacheMounts: this.#cacheMounts,
      exits: this.#exits,
    };
    return await openContainer(rooms, request);
  };

  importLayers: Builds["importLayers"] = (configText, layers, signal) =>
    importLayers(this.#dependencies, configText, layers, signal);

  imageOf: Builds["imageOf"] = (chainId, configText, createdAt) =>
    registerTree(this.#dependencies, chainId, configText, createdAt);

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

  openCache: Builds["openCache"] = (source, signal) => openCache(source, signal);

  exportCache: Builds["exportCache"] = (result, options, signal) =>
    exportCache(this.#dependencies, result, options, signal);

  inlineCache: Builds["inlineCache"] = (result) => {
    const { configText } = this.#dependencies.images.get(result.imageId);
    const text = withInlineCache(this.#dependencies, result, configText);
    return { ...result, imageId: registerConfig(this.#dependencies, text) };
  };

  scan: Builds["scan"] = (chainId, signal) => scanLayers(this.#dependencies, chainId, signal);

  usage: Builds["usage"] = () =>
    cacheUsage(this.#dependencies, this.#solver, this.#cacheMounts, this.#kept);

  prune: Builds["prune"] = (options) =>
    pruneCache(this.#dependencies, this.#solver, this.#cacheMounts, this.#kept, options);

  isLayerHeld: Builds["isLayerHeld"] = (chainId) => this.#solver.isLayerHeld(chainId);

  hostGateway(): string {
    return this.#dependencies.network.hostGateway();
  }

  async build(request: BuildRequest): Promise<BuildResult> {
    request.signal.throwIfAborted();
    request.tags.forEach(checkTag);
    checkEntitlements(request.entitlements ?? [], this.#dependencies.entitlements);
    const plan = planOf(request);
    const steps = listSteps(plan);
    await request.onEvent({ kind: "plan", steps: [...steps.values()] });
    using held = new DisposableStack();
    const abort = new AbortController();
    const signal = AbortSignal.any([request.signal, abort.signal]);
    const runs = new Map<number, Promise<StageResult>>();
    const session: BuildSession = {
      dependencies: this.#dependencies,
      request,
      plan,
      steps,
      materials: new Map(),
      solved: [],
      solver: this.#solver,
      cacheMounts: this.#cacheMounts,
      trees: held.use(new LayerTrees(this.#dependencies)),
      signal,
      held,
      resultOf: (index, seen) => {
        const running = runs.get(index);
        if (running !== undefined) return running;
        const stage = new StageRun(session, seen, index, (state) => {
          if (request.keepsStepImages) registerSteps(this.#dependencies, state);
        });
        const run = stage.run();
        runs.set(index, run);
        run.catch((error: unknown) => abort.abort(error)); // Told below, by the first that failed.
        return run;
      },
      imageState: (source, isPlatformAsked, step) =>
        this.#imageState(session, source, isPlatformAsked, step),
      treeOf: (source, seen, step) => this.#treeOf(session, source, seen, step),
      emit: async (event: BuildEvent) => await request.onEvent(event),
      temporaryTree: (name) => this.#temporaryTree(held, name),
    };
    for (const step of plan.dockerfile.metaArgs.keys()) {
      await request.onEvent({ kind: "start", step });
      await request.onEvent({
        kind: "done",
        step,
        isCached: false,
        imageId: undefined,
        durationMs: 0,
      });
    }
    return await this.#finish(session, abort);
  }

  async #finish(session: BuildSession, abort: AbortController): Promise<BuildResult> {
    const { request, plan } = session;
    const runs = plan.stages.map(({ index }) => session.resultOf(index, plan));
    const settled = await Promise.allSettled(runs);
    request.signal.throwIfAborted();
    if (abort.signal.aborted) throw abort.signal.reason;
    for (const result of settled) if (result.status === "rejected") throw result.reason;
    const { state: ended, resolved } = await session.resultOf(plan.target, plan);
    const unused = unusedBuildArgs(plan.dockerfile, request.buildArgs, plan.globalArgs);
    if (unused.length > 0) await session.emit({ kind: "unused-args", names: unused });
    const created = epochInstant(request.sourceDateEpoch) ?? now();
    const state =
      ended.image === undefined && !request.keepsStepImages
        ? bareImage(ended, resolved.state.config, created)
        : ended;
    const labelled = request.keepsStepImages ? state : withLabels(state, request.labels);
    const result = await exportImage(this.#dependencies, request, labelled);
    this.#budget.check();
    const below = stagesBelow(plan);
    const solved = session.solved.map(({ stage, ...step }) => ({
      ...step,
      isOfResult: below.has(stage),
    }));
    const uris = [...session.materials.values()].toSorted((a, b) => (a.uri < b.uri ? -1 : 1));
    return {
      ...result,
      platform: state.platform,
      solved,
      materials: uris,
      dockerfile: request.dockerfile,
    };
  }

  async #imageState(
    { request, materials }: BuildSession,
    source: Source,
    isPlatformAsked: boolean,
    step: number,
  ): Promise<StageState> {
    if (source.kind === "named") {
      const context = request.namedContexts.get(source.name);
      if (context?.kind !== "image") throw new NaruError("internal", "a context without an image");
      const { reference } = context;
      return await findImage(this.#dependencies, request, reference, request.platform, step);
    }
    if (source.kind !== "image") throw new NaruError("internal", `no image: ${source.kind}`);
    // Where nobody asks for a platform, an image that is here is taken whatever it was made for.
    const platform = isPlatformAsked ? source.platform : request.platform;
    const state = await findImage(this.#dependencies, request, source.written, platform, step);
    const material = imageMaterial(this.#dependencies, source.written, state);
    if (material !== undefined) materials.set(material.uri, material);
    return state;
  }

  async #treeOf(
    session: BuildSession,
    source: Source,
    plan: Plan,
    step: number,
  ): Promise<SourceTree> {
    const { request, trees } = session;
    switch (source.kind) {
      case "context":
        return contextTree(request.context, "the build context");
      case "scratch":
        return trees.tree(undefined, "scratch");
      case "stage": {
        const { state } = await session.resultOf(source.index, plan);
        const stage = plan.dockerfile.stages[source.index];
        const name = stage === undefined ? String(source.index) : stageName(stage);
        return trees.tree(state.chainId, `stage ${name}`);
      }
      case "named":
      case "image": {
        const name = source.kind === "named" ? source.name : source.written;
        const context = request.namedContexts.get(name);
        if (context?.kind === "tree") return contextTree(context.context, `context ${name}`);
        const state = await session.imageState(source, false, step);
        session.held.use(this.#solver.hold(state.chainId));
        return trees.tree(state.chainId, `image ${name}`);
      }
    }
  }

  #temporaryTree(held: DisposableStack, name: string): { root: string } {
    const directory = `${this.#dependencies.paths.work}/${name}-${randomHex(8)}`;
    mkdirSync(directory, { mode: 0o700 });
    held.defer(() => rmSync(directory, { recursive: true, force: true }));
    return { root: `${directory}/tree` };
  }
}

const SWEEP_POLL_MS = 20;
const SWEEP_POLLS = 50;

/** Containers beside the steps of builds: their monitors kept them alive, and write their exits down. */
const sweepContainers = async (
  runtime: BuildDependencies["runtime"],
  bundles: string,
): Promise<void> => {
  for (const id of existsSync(bundles) ? readdirSync(bundles) : []) {
    if (!existsSync(`${bundles}/${id}/conmon.pid`)) continue;
    await runtime.delete(id);
    for (let poll = 0; poll < SWEEP_POLLS && runtime.pastExit(id) === undefined; poll += 1) {
      await sleep(SWEEP_POLL_MS);
    }
    await runtime.delete(id);
  }
};

/** Removes what a killed daemon left. To be called once, before the first build. */
export const sweepBuilds = async ({
  kernel,
  paths,
  runtime,
}: Pick<BuildDependencies, "kernel" | "paths" | "runtime">): Promise<void> => {
  await runtime.sweepRuns();
  await sweepContainers(runtime, paths.bundles);
  sweepKept(paths.contexts);
  for (const directory of [paths.bundles, paths.work]) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    // The directory itself may be a file system of its own.
    const mounts = kernel.mountsUnder(directory).filter((mount) => mount !== directory);
    for (const mount of mounts) kernel.unmount(mount);
    for (const name of readdirSync(directory)) {
      rmSync(`${directory}/${name}`, { recursive: true, force: true });
    }
  }
};

/** `sweepBuilds` has run. */
export const createBuilder = (dependencies: Omit<BuildDependencies, "layerChildren">): Builds =>
  new Builder(dependencies);
