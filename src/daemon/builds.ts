/** The build room, put together when the first build asks for it. */
import { existsSync, readdirSync } from "node:fs";
import type { Builds } from "#build/build.ts";
import type { BuildDependencies } from "#build/dependencies.ts";
import { invariant } from "#lib/errors.ts";
import type { StepConfigDependencies } from "#container/step-config.ts";
import type { RoomInputs } from "#daemon/rooms.ts";
import { bulkWorkerCommand } from "#daemon/worker-command.ts";
import type { BuildCacheRows } from "#metadata/build-cache.ts";
import type { BuildHistoryRows } from "#metadata/build-history.ts";
import type { Runtime } from "#runtime/runtime.ts";
import type { Digest } from "#spec/image/digest.ts";

type Parts = Pick<
  BuildDependencies,
  "rows" | "historyRows" | "images" | "snapshots" | "network" | "kernel" | "cgroupParent"
>;

const pathsOf = ({ config }: Pick<RoomInputs, "config">): BuildDependencies["paths"] => ({
  work: `${config.dataRoot}/build/work`,
  contexts: `${config.dataRoot}/build/contexts`,
  cacheMounts: `${config.dataRoot}/build/mounts`,
  history: `${config.dataRoot}/build/history`,
  bundles: `${config.execRoot}/build`,
});

const make = async (
  inputs: RoomInputs,
  parts: Parts,
  steps: StepConfigDependencies,
  runtime: Runtime,
): Promise<Builds> => {
  const { tools, log } = inputs;
  const [{ createBuilder, sweepBuilds }, { stepConfigOf }, { lookUpUser }] = await Promise.all([
    import("#build/builder.ts"),
    import("#container/step-config.ts"),
    import("#container/user-files.ts"),
  ]);
  const dependencies: Omit<BuildDependencies, "layerChildren"> = {
    ...parts,
    runtime,
    proxy: inputs.config.registries.remote.proxy,
    configs: {
      configOf: (process) =>
        stepConfigOf(steps, {
          ...process,
          hostConfig: { ...process.hostConfig, Runtime: tools.defaultRuntime },
        }),
      userOf: (rootfs, spec) => lookUpUser(steps.kernel, rootfs, spec),
    },
    paths: pathsOf(inputs),
    entitlements: inputs.config.buildEntitlements,
    workerCommand: [...bulkWorkerCommand(), "build"],
    log: log.with({ room: "build" }),
  };
  await sweepBuilds(dependencies);
  return createBuilder(dependencies);
};

/** Made at the first build: a daemon that builds nothing does not load the room. */
export class LazyBuilds {
  readonly #rows: BuildCacheRows;
  readonly #historyRows: BuildHistoryRows;
  #builder: Builds | undefined;

  constructor(rows: BuildCacheRows, historyRows: BuildHistoryRows) {
    this.#rows = rows;
    this.#historyRows = historyRows;
  }

  /** By the cache, or by a running build. */
  readonly isLayerHeld = (chainId: Digest): boolean =>
    this.#rows.isHeld(chainId) || this.#builder?.isLayerHeld(chainId) === true;

  connect(
    inputs: RoomInputs,
    parts: Omit<Parts, "rows" | "historyRows">,
    steps: StepConfigDependencies,
    runtimes: ReadonlyMap<string, Runtime>,
  ): { builds: () => Promise<Builds>; sweepBuilds: () => Promise<void> } {
    let made: Promise<Builds> | undefined;
    const builds = async (): Promise<Builds> => {
      const runtime = runtimes.get(inputs.tools.defaultRuntime);
      invariant(runtime !== undefined, "the default runtime is one of the runtimes");
      made ??= make(
        inputs,
        { ...parts, rows: this.#rows, historyRows: this.#historyRows },
        steps,
        runtime,
      );
      this.#builder = await made;
      return this.#builder;
    };
    const { bundles, work } = pathsOf(inputs);
    const sweepBuilds = async (): Promise<void> => {
      // The room sweeps when it is made; where nothing is left it need not be.
      const hasRemains = [bundles, work].some(
        (path) => existsSync(path) && readdirSync(path).length > 0,
      );
      if (hasRemains) await builds();
    };
    return { builds, sweepBuilds };
  }
}
