/** POST /containers/create: from a request to a record, its writable layer and its volumes. */
import { mkdirSync } from "node:fs";
import { hostname } from "node:os";
import { now } from "#lib/clock.ts";
import { NaruError, hasCode } from "#lib/errors.ts";
import { failpoint } from "#lib/failpoint.ts";
import { removeDirectory } from "#lib/remove-directory.ts";
import type { ContainerRecord } from "#container/container.ts";
import { capabilitiesOf } from "#container/capabilities.ts";
import type { Engine } from "#container/engine.ts";
import { linksOf } from "#container/links.ts";
import { logConfigWarnings, validateLogConfig } from "#container/log-config.ts";
import { checkName, generateName } from "#container/names.ts";
import { initialEndpoints, parseNetworkMode, validateNetworking } from "#container/network-mode.ts";
import { checkEndpoint } from "#container/start-network.ts";
import { normalizeConfig } from "#container/normalize-config.ts";
import { discardBlockWeights, normalizeHostConfig } from "#container/normalize-host.ts";
import { logPathOf } from "#container/paths.ts";
import { giveUpReady, newContainerId } from "#container/ready.ts";
import { processRlimits } from "#container/runtime-config/process.ts";
import { checkApparmor, parseSecurityOptions } from "#container/security.ts";
import type { ImageRecord } from "#image/image.ts";
import { machinePlatform } from "#image/machine-platform.ts";
import type { CreateRequest, CreateResponse } from "#spec/docker/container.ts";
import type { HostConfig } from "#spec/docker/host-config.ts";
import {
  type Platform,
  formatPlatform,
  parsePlatform,
  platformScore,
} from "#spec/image/platform.ts";
import type { RlimitName } from "#kernel/kernel.ts";

const NEVER_STARTED = {
  exitCode: 0,
  startedAt: "0001-01-01T00:00:00Z",
  finishedAt: "0001-01-01T00:00:00Z",
  isOomKilled: false,
  error: "",
} as const;

const warningsOf = (
  engine: Engine,
  host: HostConfig,
  asked: CreateRequest["HostConfig"],
): string[] => {
  const limitOf = (name: string): bigint => engine.deps.kernel.hardLimit(name as RlimitName);
  const { warnings } = processRlimits(host.Ulimits ?? [], limitOf);
  warnings.push(...logConfigWarnings(host.LogConfig));
  warnings.push(...discardBlockWeights({ ...asked }, engine.deps.facts));
  if (host.OomKillDisable === true && host.Memory === 0) {
    warnings.push(
      "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.",
    );
  }
  const mode = parseNetworkMode(host.NetworkMode);
  if (mode.kind === "host" && Object.keys(host.PortBindings).length > 0) {
    warnings.push("Published ports are discarded when using host network mode");
  }
  return warnings;
};

/** What nobody asked for by name, and this machine's processor may not run. */
const platformWarnings = (platform: Platform): string[] => {
  const machine = machinePlatform();
  if (platform.architecture === "" || platformScore(platform, machine) > 0) return [];
  return [
    `The requested image's platform (${formatPlatform(platform)}) does not match the detected host platform (${formatPlatform(machine)}) and no specific platform was requested`,
  ];
};

/** Who shares the host's or another container's names has no hostname of its own. */
const sharedHostname = (
  engine: Engine,
  host: HostConfig,
  request: CreateRequest,
): { Hostname?: string; Domainname?: string } => {
  const mode = parseNetworkMode(host.NetworkMode);
  if (mode.kind === "container") {
    const owner = engine.states.list().find((record) => matchesContainer(record, mode.container));
    return owner === undefined
      ? {}
      : { Hostname: owner.config.Hostname, Domainname: owner.config.Domainname };
  }
  const isHosts = mode.kind === "host" || host.UTSMode === "host";
  return isHosts && !request.Hostname ? { Hostname: hostname() } : {};
};

const matchesContainer = (record: ContainerRecord, text: string): boolean =>
  record.name === text || (text.length >= 12 && record.id.startsWith(text));

const JOINED = "container:";

/**
 * Containers that are joined stand by their id: after a rename it is still they. One whose network is to be joined may
 * come later, and whether they run is asked at the start. Throws not_found.
 */
const joinedById = (engine: Engine, host: HostConfig): HostConfig => {
  const byId = (mode: string): string =>
    mode.startsWith(JOINED) ? JOINED + engine.states.get(mode.slice(JOINED.length)).id : mode;
  const network = parseNetworkMode(host.NetworkMode);
  const isThere =
    network.kind === "container" &&
    engine.states.list().some((record) => matchesContainer(record, network.container));
  return {
    ...host,
    PidMode: byId(host.PidMode),
    IpcMode: byId(host.IpcMode),
    NetworkMode: isThere ? byId(host.NetworkMode) : host.NetworkMode,
  };
};

const buildRecord = (
  engine: Engine,
  id: string,
  name: string,
  request: CreateRequest,
  image: ImageRecord,
): ContainerRecord => {
  const hostConfig = joinedById(engine, normalizeHostConfig(request.HostConfig, engine.deps.facts));
  const config = {
    ...normalizeConfig(request, image.config.config ?? {}, id),
    ...sharedHostname(engine, hostConfig, request),
  };
  validateNetworking(request, hostConfig, config);
  validateLogConfig(hostConfig.LogConfig);
  const security = parseSecurityOptions(hostConfig.SecurityOpt, hostConfig.Privileged);
  checkApparmor(security, engine.deps.facts.hasApparmor);
  capabilitiesOf(engine.deps.facts, hostConfig);
  const links = linksOf(engine, hostConfig.NetworkMode, hostConfig.Links);
  const argv = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  const record: ContainerRecord = {
    id,
    name,
    createdAt: now(),
    platform: image.platform.os,
    imageId: image.id,
    config,
    hostConfig,
    path: argv[0] ?? "",
    args: argv.slice(1),
    mounts: [],
    endpoints: initialEndpoints(request, hostConfig, (network) => networkName(engine, network)),
    ports: {},
    ...(links.length === 0 ? {} : { links }),
    logPath: hostConfig.LogConfig.Type === "none" ? "" : logPathOf(engine.deps.paths, id),
    restartCount: 0,
    isStoppedByUser: false,
    state: { status: "created", ...NEVER_STARTED },
  };
  const macs = Object.entries(record.endpoints).filter(([, { MacAddress }]) => MacAddress !== "");
  const whole: ContainerRecord = {
    ...record,
    ...(image.chainId === undefined ? {} : { imageChainId: image.chainId }),
    ...(macs.length === 0
      ? {}
      : { askedMacs: Object.fromEntries(macs.map(([key, one]) => [key, one.MacAddress])) }),
  };
  for (const [network, asked] of Object.entries(record.endpoints)) {
    checkEndpoint(engine, whole, network, asked);
  }
  return whole;
};

/** By name or id; undefined when there is no such network, which the start will tell. */
const networkName = (engine: Engine, network: string): string | undefined =>
  engine.deps.network
    .list()
    .find(({ id, name }) => name === network || (network.length >= 12 && id.startsWith(network)))
    ?.name;

/** The image, assembled first where naru has it built in (naru/hello). */
const imageOf = async (
  engine: Engine,
  name: string,
  platform: Platform | undefined,
): Promise<ImageRecord> => {
  try {
    return engine.deps.images.get(name, platform);
  } catch (error) {
    const made = hasCode(error, "not_found") ? engine.deps.images.provide(name) : undefined;
    if (made === undefined) throw error;
    await made;
    return engine.deps.images.get(name, platform);
  }
};

/** Not "not found": clients would pull the container's own image and try again. */
const checkMountedImages = (engine: Engine, { Mounts }: HostConfig): void => {
  for (const { Type, Source = "" } of Mounts ?? []) {
    if (Type !== "image" || Source === "") continue;
    try {
      engine.deps.images.get(Source);
    } catch (cause) {
      if (!hasCode(cause, "not_found")) throw cause;
      const reason = `image "${Source}" is not here: pull it first`;
      throw new NaruError("invalid_argument", `invalid mount config for type "image": ${reason}`, {
        cause,
      });
    }
  }
};

export const createContainer = async (
  engine: Engine,
  askedName: string | undefined,
  request: CreateRequest,
  platform: string | undefined,
): Promise<CreateResponse> => {
  if (typeof request !== "object" || request === null) {
    throw new NaruError(
      "invalid_argument",
      "config cannot be empty in order to create a container",
    );
  }
  const id = newContainerId(engine, request);
  try {
    return await createAs(engine, id, askedName, request, platform);
  } catch (error) {
    giveUpReady(engine, id);
    throw error;
  }
};

const createAs = async (
  engine: Engine,
  id: string,
  askedName: string | undefined,
  request: CreateRequest,
  platform: string | undefined,
): Promise<CreateResponse> => {
  const name =
    askedName === undefined || askedName === ""
      ? generateName((candidate) => engine.states.byName(candidate) === undefined)
      : checkName(askedName);
  using _reservation = engine.states.reserveName(name, id);
  const wanted = platform ? parsePlatform(platform) : undefined;
  const image = await imageOf(engine, request.Image ?? "", wanted);
  await engine.deps.images.admit(request.Image ?? "", image);
  const record = buildRecord(engine, id, name, request, image);
  checkMountedImages(engine, record.hostConfig);

  await using undo = new AsyncDisposableStack();
  failpoint("create.before-snapshot");
  engine.deps.snapshots.prepare(id, image.chainId, true);
  undo.defer(() => engine.deps.snapshots.remove(id));
  failpoint("create.after-snapshot");
  mkdirSync(engine.directoryOf(id), { recursive: true, mode: 0o710 });
  undo.defer(() => removeDirectory(engine.directoryOf(id)));

  let isMounted = false;
  const prepared = await engine.deps.volumes.prepare({
    containerId: id,
    config: record.config,
    hostConfig: record.hostConfig,
    mountsOf: (container) => engine.states.get(container).mounts,
    rootfs: () => {
      isMounted = true;
      return engine.deps.snapshots.mount(id);
    },
  });
  undo.defer(() => engine.deps.volumes.forget(id, prepared.points, true));
  if (isMounted) engine.deps.snapshots.unmount(id);

  failpoint("create.before-row");
  const created = engine.states.put({ ...record, mounts: prepared.points });
  undo.move();
  failpoint("create.after-row");
  engine.emit(created, "create");
  const warnings = warningsOf(engine, record.hostConfig, request.HostConfig);
  if (wanted === undefined) warnings.push(...platformWarnings(image.platform));
  return { Id: id, Warnings: warnings };
};
