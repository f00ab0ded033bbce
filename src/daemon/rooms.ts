/** The only `new` of services: every room, in the order of the ranks, handed what it declares. */
import { existsSync, mkdirSync } from "node:fs";
import type { Logger } from "#lib/log.ts";
import { spreadChildren } from "#lib/spread-directory.ts";
import { createCgroupKernel } from "#kernel/cgroup.ts";
import type { CgroupKernel } from "#kernel/cgroup-kernel.ts";
import { watchKernel } from "#kernel/directory-watch.ts";
import type { Kernel } from "#kernel/kernel.ts";
import { openContent } from "#content/store.ts";
import type { Builds } from "#build/build.ts";
import { createEvents } from "#container/events.ts";
import { isLive } from "#container/container.ts";
import type { ContainerDependencies, ContainerPaths } from "#container/dependencies.ts";
import { ensureGround } from "#container/ground.ts";
import { type ContainerService, createContainers } from "#container/service.ts";
import { archivesOf } from "#daemon/archives.ts";
import { DEFAULT_TRUST_POLICY, type DaemonConfig } from "#daemon/config.ts";
import { databasePathOf, openDaemonDatabase } from "#daemon/schema.ts";
import { LazyBuilds } from "#daemon/builds.ts";
import { type LazyTrash, lazyTrash } from "#daemon/trash.ts";
import { createSeccomp } from "#daemon/seccomp.ts";
import { hostFacts, ownCapabilities } from "#daemon/host-facts.ts";
import { buildNetwork } from "#daemon/network-room.ts";
import type { Tools } from "#daemon/tools.ts";
import { bulkWorkerCommand, workerCommand } from "#daemon/worker-command.ts";
import type { Database } from "#database/database.ts";
import type { Images } from "#image/image.ts";
import { createImages } from "#image/images.ts";
import { createBuildCacheRows } from "#metadata/build-cache.ts";
import { createBuildHistoryRows } from "#metadata/build-history.ts";
import { createContainerRows, createEventRows } from "#metadata/containers.ts";
import { createImageRows } from "#metadata/images.ts";
import { quotaKernel } from "#kernel/project-quota.ts";
import { createLeases } from "#metadata/leases.ts";
import { type TrashRows, createTrashRows } from "#metadata/trash.ts";
import { createVolumeRows } from "#metadata/volumes.ts";
import type { NetworkService } from "#network/network.ts";
import { bundleOf, logPathOf } from "#container/paths.ts";
import { createRuntime } from "#runtime/oci-runtime.ts";
import type { Runtime } from "#runtime/runtime.ts";
import type { Snapshots } from "#snapshot/snapshot.ts";
import { openSnapshots } from "#snapshot/store.ts";
import type { Volumes } from "#volume/volume.ts";
import type { Digest } from "#spec/image/digest.ts";
import { type Capability, resolveCapabilities } from "#spec/runtime/capabilities.ts";
import { openTrust } from "#trust/store.ts";
import { createVolumes } from "#volume/service.ts";

export interface Rooms extends LazyTrash {
  readonly database: Database;
  readonly events: ReturnType<typeof createEvents>;
  readonly cgroups: CgroupKernel;
  readonly snapshots: Snapshots;
  readonly images: Images;
  readonly network: NetworkService;
  readonly volumes: Volumes;
  readonly containers: ContainerService;
  /** Made at the first build: a daemon that builds nothing does not load it. */
  builds(): Promise<Builds>;
  /** Ends what builds of a killed daemon left running. */
  sweepBuilds(): Promise<void>;
  /** What the first start would otherwise do on its way: some ten milliseconds, once. */
  warmUp(): void;
}

export interface RoomInputs {
  readonly config: DaemonConfig;
  readonly instance: string;
  readonly kernel: Kernel;
  readonly tools: Tools;
  readonly log: Logger;
  /** Called before the kernel is hurried, for some ten microseconds. */
  readonly onHurry: () => void;
}

const buildRuntimes = (
  { config, kernel, tools, log, onHurry }: RoomInputs,
  cgroups: CgroupKernel,
): Map<string, Runtime> =>
  new Map(
    [...tools.runtimes].map(([name, path]) => [
      name,
      createRuntime(
        { ...kernel, ...watchKernel },
        {
          root: `${config.execRoot}/runtime/${name}`,
          conmonPath: tools.conmon,
          runtimePath: path,
          runtimeName: name,
          removeCgroup: (cgroupPath) => cgroups.remove(cgroupPath),
          expectMoves: () => cgroups.expectMoves(onHurry),
          places: {
            bundleOf: (id) => bundleOf(pathsOf(config), id),
            logOf: (id) => logPathOf(pathsOf(config), id),
          },
          onUnready: (reason) =>
            log.warn("no monitors are loaded before they are needed", {
              room: "runtime",
              runtime: name,
              reason: String(reason),
            }),
          onHeavy: (reason) =>
            log.info("crun and conmon load all of their libraries", {
              room: "runtime",
              reason: String(reason),
            }),
        },
      ),
    ]),
  );

/** Who holds an image or a layer. The containers come later than the images that they are made of. */
const usersOfImages = (
  snapshots: Snapshots,
  containers: () => ReturnType<ContainerService["list"]>,
  isHeldByBuilds: (chainId: Digest) => boolean,
): Parameters<typeof createImages>[0]["users"] => ({
  containersOf: (imageId) =>
    containers()
      .filter((record) => record.imageId === imageId)
      .map((record) => ({ id: record.id, isRunning: isLive(record.state) })),
  containerCounts: () => {
    const counts = new Map<string, number>();
    for (const { imageId } of containers()) counts.set(imageId, (counts.get(imageId) ?? 0) + 1);
    return counts;
  },
  isLayerHeld: (chainId) =>
    isHeldByBuilds(chainId) ||
    snapshots
      .actives()
      .some(
        (active) =>
          active.parent !== undefined &&
          snapshots.chain(active.parent).some((layer) => layer.chainId === chainId),
      ),
});

const pathsOf = (config: DaemonConfig): ContainerPaths => ({
  containers: `${config.dataRoot}/containers`,
  bundles: `${config.execRoot}/bundles`,
});

const makePaths = (config: DaemonConfig): ContainerPaths => {
  const paths = pathsOf(config);
  const isNew = !existsSync(paths.containers);
  for (const path of Object.values(paths)) mkdirSync(path, { recursive: true, mode: 0o710 });
  if (isNew) spreadChildren(paths.containers);
  return paths;
};

/** Only crun minds a v2 hierarchy that owns a controller beside v1 ones. */
const prepareCgroups = (cgroups: CgroupKernel, tools: Tools, log: Logger): void => {
  try {
    for (const controller of cgroups.ensureUsable()) {
      log.info("mounted a cgroup hierarchy", { controller });
    }
  } catch (error) {
    if (tools.defaultRuntime === "crun") throw error;
    log.warn("crun will not run on these cgroups", { error: String(error) });
  }
};

/** What the first container needs, and a full disk. */
const warm = (
  { tools, log }: RoomInputs,
  database: Database,
  seccomp: ReturnType<typeof createSeccomp>,
  available: readonly Capability[],
): void => {
  const given = { add: [], drop: [], privileged: false, available };
  seccomp.forContainer(tools.defaultRuntime, undefined, resolveCapabilities(given));
  try {
    database.keepReserve();
  } catch (error) {
    log.warn("no room could be kept for a full disk", { error: String(error) });
  }
};

const buildImages = (
  { config, log }: RoomInputs,
  database: Database,
  snapshots: Snapshots,
  users: Parameters<typeof createImages>[0]["users"],
  events: Rooms["events"],
  trash: TrashRows,
): Images =>
  createImages({
    rows: createImageRows(database),
    trash,
    leases: createLeases(database),
    content: openContent(`${config.dataRoot}/content`),
    layers: snapshots,
    users,
    publish: (event) => events.publish(event),
    log: log.with({ room: "image" }),
    workerCommand: [...bulkWorkerCommand(), "image"],
    registries: config.registries,
    trust: openTrust(
      config.trustPolicy ?? DEFAULT_TRUST_POLICY,
      config.trustPolicy !== undefined,
      `${config.dataRoot}/trust`,
    ),
  });

const buildVolumes = (
  { config, kernel, log }: RoomInputs,
  database: Database,
  snapshots: Snapshots,
  images: Images,
  events: Rooms["events"],
  containers: () => ContainerService,
  trash: TrashRows,
): Volumes =>
  createVolumes({
    trash,
    dataRoot: config.dataRoot,
    execRoot: config.execRoot,
    rows: createVolumeRows(database),
    kernel,
    quotas: quotaKernel,
    images: {
      view: async (reference) => {
        const image = images.get(reference);
        await images.admit(reference, image);
        return snapshots.view(image.chainId);
      },
    },
    publish: (event) => events.publish(event),
    logger: log.with({ room: "volume" }),
    users: {
      whilePaused: (ids, work) => containers().whilePaused(ids, work),
      isRunning: (id) =>
        containers()
          .list()
          .some((record) => record.id === id && isLive(record.state)),
    },
  });

/** The parts of it that are no rooms, and those that are nobody else's. */
type OwnOfContainers = "rows" | "archives" | "kernel" | "paths" | "temporary" | "initPath" | "log";

const buildContainers = (
  { config, kernel, tools, log }: RoomInputs,
  database: Database,
  rooms: Omit<ContainerDependencies, OwnOfContainers>,
): ContainerService =>
  createContainers({
    ...rooms,
    rows: createContainerRows(database),
    archives: archivesOf(kernel),
    kernel,
    paths: makePaths(config),
    temporary: `${config.dataRoot}/tmp`,
    initPath: tools.init,
    log: log.with({ room: "container" }),
  });

const buildTrash = (
  { config, log }: RoomInputs,
  rows: TrashRows,
  { images, volumes, containers }: Pick<Rooms, "images" | "volumes" | "containers">,
): LazyTrash =>
  lazyTrash(
    rows,
    () => [images.removed, volumes.removed, containers.removed],
    () => images.collect(),
    config.undoTimeMs,
    log.with({ room: "gc" }),
  );

export const buildRooms = (inputs: RoomInputs): Rooms => {
  const { config, kernel, tools, log } = inputs;
  const database = openDaemonDatabase(databasePathOf(config.dataRoot));
  const events = createEvents(createEventRows(database), log);
  const cgroups = createCgroupKernel();
  prepareCgroups(cgroups, tools, log);
  const snapshots = openSnapshots({
    root: `${config.dataRoot}/snapshots`,
    kernel,
    workerCommand: [...workerCommand(), "snapshot"],
    log: log.with({ room: "snapshot" }),
    layerForm: config.layerForm,
    ground: ensureGround(config.dataRoot),
  });
  const lazyBuilds = new LazyBuilds(
    createBuildCacheRows(database),
    createBuildHistoryRows(database),
  );
  const users = usersOfImages(snapshots, () => containers.list(), lazyBuilds.isLayerHeld);
  const trash = createTrashRows(database, config.undoTimeMs > 0);
  const images = buildImages(inputs, database, snapshots, users, events, trash);
  const network = buildNetwork({
    ...config,
    instance: inputs.instance,
    kernel,
    log,
    database,
    publish: (event) => events.publish(event),
  });
  const lateContainers = (): ContainerService => containers;
  const volumes = buildVolumes(inputs, database, snapshots, images, events, lateContainers, trash);
  const capabilities = ownCapabilities();
  const seccomp = createSeccomp(config.seccompProfile);
  const runtimes = buildRuntimes(inputs, cgroups);
  const facts = hostFacts(config, tools, cgroups, capabilities);
  const cgroupParent = config.cgroupParent ?? `/naru-${inputs.instance}`;
  const containers: ContainerService = buildContainers(inputs, database, {
    trash,
    events,
    images,
    snapshots,
    volumes,
    network,
    runtimes,
    seccomp,
    cgroups,
    facts,
    cgroupParent,
  });
  const warmUp = (): void => warm(inputs, database, seccomp, capabilities);
  const builds = lazyBuilds.connect(
    inputs,
    { images, snapshots, network, kernel, cgroupParent },
    { facts, kernel, seccomp },
    runtimes,
  );
  return {
    database,
    events,
    cgroups,
    snapshots,
    images,
    network,
    volumes,
    containers,
    ...builds,
    ...buildTrash(inputs, trash, { images, volumes, containers }),
    warmUp,
  };
};
