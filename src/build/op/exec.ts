/** RUN as a vertex: a process on a writable snapshot, held as a container would be. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { posix } from "node:path";
import type { BuildDependencies } from "#build/dependencies.ts";
import { checkCanRun } from "#build/emulation.ts";
import { onSnapshot } from "#build/op/on-snapshot.ts";
import {
  type MountSources,
  type PreparedMounts,
  type StepMount,
  prepareMounts,
} from "#build/op/run-mounts.ts";
import type { InputDigest } from "#build/op/tree-digest.ts";
import type { RunContext, Vertex } from "#build/solver.ts";
import { NaruError } from "#lib/errors.ts";
import { failpoint } from "#lib/failpoint.ts";
import {
  RESOLV_CONF_PATHS,
  RESOLVER_ADDRESS,
  chooseResolvConf,
  renderEngineResolvConf,
  renderHostname,
  renderHosts,
  renderResolvConf,
} from "#network/files.ts";
import type { EndpointOrder, Sandbox } from "#network/network.ts";
import type { RunStdio } from "#runtime/runtime.ts";
import type { HostConfig } from "#spec/docker/host-config.ts";
import { type Platform, formatPlatform } from "#spec/image/platform.ts";
import type { RunNetwork } from "#spec/dockerfile/dockerfile.ts";
import type { Digest } from "#spec/image/digest.ts";
import type { RuntimeConfig } from "#spec/runtime/config.ts";

/** A network of the user's by its name, or one of those that every engine has. */
export type StepNetwork = RunNetwork | { readonly name: string };

export interface ExecRequest {
  readonly args: readonly string[];
  /** Part of the key. */
  readonly env: readonly string[];
  /** Of the builder's surroundings: no part of the key. */
  readonly ambientEnv: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  readonly network: StepNetwork;
  readonly extraHosts: readonly string[];
  readonly hostConfig: Partial<HostConfig>;
  /** Read-only and executable at `path` while it runs. */
  readonly script: { readonly path: string; readonly content: string } | undefined;
  readonly mounts: readonly StepMount[];
  readonly mountSources: MountSources;
  /** Content of bind mounts, by what they read. */
  readonly inputs: Readonly<Record<string, InputDigest>>;
  /** Other than the host's: programs of it are emulated. */
  readonly platform?: Platform;
  readonly parent: Digest | undefined;
  /** As history tells it. */
  readonly description: string;
  readonly hostname?: string | undefined;
  readonly isTty?: boolean;
  /** Codes that are no failure; none = 0 alone. */
  readonly validExitCodes?: readonly number[];
  /** See `RunRequest.onConnected`. */
  readonly onConnected?: (stdio: RunStdio) => void;
}

/** The process ended, but not with 0. */
export class ExitError extends NaruError {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super("failed_precondition", `the process ended with code ${exitCode}`, {
      details: { exitCode },
    });
    this.exitCode = exitCode;
  }
}

/** The same in every build, so that what a program writes of it is the same. */
const HOSTNAME = "build";
const SHORT_ID_LENGTH = 12;
/** What a runtime makes in every root to mount upon. */
const STANDARD_TARGETS: readonly string[] = [
  "/proc",
  "/dev",
  "/sys",
  "/etc/resolv.conf",
  "/etc/hostname",
  "/etc/hosts",
];

const readOptional = (path: string): string | undefined =>
  existsSync(path) ? readFileSync(path, "utf8") : undefined;

const writeFiles = (
  { network }: BuildDependencies,
  bundle: string,
  request: ExecRequest,
  sandbox: Sandbox | undefined,
): { destination: string; source: string }[] => {
  const isHostNetwork = request.network === "host";
  const [etc, systemd] = RESOLV_CONF_PATHS;
  const base = isHostNetwork ? readOptional("/etc/hosts") : undefined;
  const host = chooseResolvConf(readOptional(etc) ?? "", readOptional(systemd));
  const overrides = { servers: [], search: [], options: [] };
  const files: Record<string, string> = {
    hostname: renderHostname(request.hostname ?? HOSTNAME),
    hosts: renderHosts({
      hostname: request.hostname ?? HOSTNAME,
      domainname: "",
      addresses: (sandbox?.endpoints ?? []).flatMap(({ ip }) => (ip === "" ? [] : [ip])),
      extraHosts: request.extraHosts,
      hostGateway: network.hostGateway(),
      ...(base === undefined ? {} : { base }),
    }),
    "resolv.conf":
      typeof request.network === "string"
        ? renderResolvConf({ host, overrides, isHostNetwork })
        : renderEngineResolvConf(RESOLVER_ADDRESS, { host, overrides }),
  };
  return Object.entries(files).map(([name, text]) => {
    const source = `${bundle}/${name}`;
    writeFileSync(source, text, { mode: 0o644 });
    return { destination: `/etc/${name}`, source };
  });
};

const scriptFile = (
  bundle: string,
  { script }: ExecRequest,
): { destination: string; source: string }[] => {
  if (script === undefined) return [];
  const source = `${bundle}/script`;
  writeFileSync(source, script.content, { mode: 0o755 });
  return [{ destination: script.path, source }];
};

/** On a user's network the others are found by name: that takes a name of its own. */
const orderOf = (network: StepNetwork, id: string): EndpointOrder =>
  typeof network === "string"
    ? { network: "bridge" }
    : { network: network.name, names: [id.slice(0, SHORT_ID_LENGTH)] };

/** The build's own, as a container's, or that of all that this daemon runs. */
const cgroupParentOf = (
  { cgroupParent }: BuildDependencies,
  { hostConfig }: ExecRequest,
): string => {
  const own = hostConfig.CgroupParent ?? "";
  return own === "" ? cgroupParent : posix.resolve("/", own);
};

/** What a step's process needs on the host beside its root. */
export interface StepPlace {
  readonly id: string;
  readonly bundle: string;
  readonly sandbox: Sandbox | undefined;
  readonly prepared: PreparedMounts;
}

type PlaceRequest = Pick<ExecRequest, "network" | "mounts" | "mountSources">;

/** Directory, network and mounts; what is made goes onto `undo`. */
export const prepareStep = async (
  dependencies: BuildDependencies,
  request: PlaceRequest,
  { id, signal }: Pick<RunContext, "id" | "signal">,
  undo: AsyncDisposableStack,
): Promise<StepPlace> => {
  const { network, paths } = dependencies;
  const bundle = `${paths.bundles}/${id}`;
  mkdirSync(bundle, { mode: 0o700 });
  undo.defer(() => rm(bundle, { recursive: true, force: true }));
  let sandbox: Sandbox | undefined;
  if (request.network !== "host") {
    const mode = request.network === "none" ? "none" : "bridge";
    const endpoints = mode === "none" ? [] : [orderOf(request.network, id)];
    const taken = await network.acquire({ containerId: id, mode, endpoints });
    undo.defer(() => network.release(taken));
    sandbox = taken;
  }
  const sources = request.mountSources;
  const prepared = await prepareMounts(
    { dependencies, sources, undo, bundle, id, signal },
    request.mounts,
  );
  return { id, bundle, sandbox, prepared };
};

/** Writes the process's files into its bundle. Throws invalid_argument for users and limits that do not hold. */
export const stepConfig = (
  dependencies: BuildDependencies,
  request: ExecRequest,
  rootfs: string,
  { id, bundle, sandbox, prepared }: StepPlace,
): RuntimeConfig =>
  dependencies.configs.configOf({
    id,
    rootfs,
    args: request.args,
    env: [...request.env, ...request.ambientEnv, ...prepared.env],
    workingDir: request.workingDir,
    user: request.user,
    hostname: request.hostname ?? HOSTNAME,
    isTty: request.isTty ?? false,
    networkPath: sandbox?.netnsPath,
    files: [...writeFiles(dependencies, bundle, request, sandbox), ...scriptFile(bundle, request)],
    mounts: prepared.mounts,
    hostConfig: { ...request.hostConfig, ExtraHosts: [...request.extraHosts] },
    cgroupsPath: `${cgroupParentOf(dependencies, request)}/${id}`,
  });

/** Runs the process in a mounted root. The paths that were made there to mount upon. */
export const runStepProcess = async (
  dependencies: BuildDependencies,
  request: ExecRequest,
  rootfs: string,
  context: RunContext,
): Promise<readonly string[]> => {
  await using undo = new AsyncDisposableStack();
  const place = await prepareStep(dependencies, request, context, undo);
  const { id, bundle, prepared } = place;
  const exitCode = await dependencies.runtime.run({
    id,
    bundle,
    config: JSON.stringify(stepConfig(dependencies, request, rootfs, place)),
    onOutput: (stream, bytes) => {
      failpoint("build.mid-step");
      return context.output(stream, bytes);
    },
    ...(request.onConnected === undefined ? {} : { onConnected: request.onConnected }),
    signal: context.signal,
  });
  const valid = request.validExitCodes ?? [];
  if (valid.length > 0 ? !valid.includes(exitCode) : exitCode !== 0) throw new ExitError(exitCode);
  return [...STANDARD_TARGETS, ...prepared.targets];
};

/** What of a mount decides the result: not the content of secrets and caches. */
const mountKey = ({ mount }: StepMount): object => ({
  type: mount.type,
  target: mount.target ?? "",
  ...(mount.type === "secret" || mount.type === "cache" ? { id: mount.id } : {}),
  ...(mount.type === "secret" && mount.env !== undefined ? { env: mount.env } : {}),
  ...(mount.type === "bind" || mount.type === "cache" ? { source: mount.source } : {}),
  ...("isReadonly" in mount ? { isReadonly: mount.isReadonly } : {}),
});

export const execVertex = (dependencies: BuildDependencies, request: ExecRequest): Vertex => ({
  description: request.description,
  definition: {
    op: "exec",
    command: request.args,
    ...(request.platform === undefined ? {} : { platform: formatPlatform(request.platform) }),
    ...(request.script === undefined ? {} : { script: request.script.content }),
    environment: request.env.toSorted(),
    "working directory": request.workingDir,
    user: request.user,
    network: typeof request.network === "string" ? request.network : request.network.name,
    hosts: request.extraHosts,
    ...(request.hostname === undefined ? {} : { hostname: request.hostname }),
    ...(request.hostConfig.Privileged === true ? { security: "insecure" } : {}),
    mounts: request.mounts.map(mountKey),
  },
  parent: request.parent,
  inputs: request.inputs,
  run: (context) =>
    onSnapshot(dependencies, context, request.parent, (rootfs) => {
      // Not before: what was run elsewhere is good here, too.
      if (request.platform !== undefined) checkCanRun(request.platform);
      return runStepProcess(dependencies, request, rootfs, context);
    }),
});
