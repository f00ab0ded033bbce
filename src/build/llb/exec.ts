/** The op exec: a process whose root and other mounts are outputs of operations, and may be outputs themselves. */
import { posix } from "node:path";
import type { LlbClient } from "#build/llb/llb.ts";
import {
  type LlbOutput,
  type LlbRun,
  type LlbTree,
  layersInput,
  refuseOp,
  solveVertex,
} from "#build/llb/run.ts";
import { ExitError, type ExecRequest, runStepProcess } from "#build/op/exec.ts";
import { commitSnapshot } from "#build/op/on-snapshot.ts";
import type { StepMount } from "#build/op/run-mounts.ts";
import type { RunContext } from "#build/solver.ts";
import type { LayerTrees } from "#build/trees.ts";
import { NaruError } from "#lib/errors.ts";
import type { HostConfig } from "#spec/docker/host-config.ts";
import type { ExecMount, ExecOp } from "#spec/buildkit/llb.gen.ts";
import type { LlbVertex } from "#spec/buildkit/llb.ts";
import type { CacheSharing } from "#spec/dockerfile/dockerfile.ts";
import { goQuoted } from "#spec/dockerfile/go-text.ts";

const [BIND, SECRET, SSH, CACHE, TMPFS] = [0, 1, 2, 3, 4];
const [NETWORK_HOST, NETWORK_NONE] = [1, 2];
const INSECURE = 1;
const SHARING: readonly CacheSharing[] = ["shared", "private", "locked"];

export const DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface MountInput {
  readonly mount: ExecMount;
  readonly tree: LlbTree;
}

/** Throws permission_denied for what the client did not grant. */
export const networkOf = (
  entitlements: readonly string[],
  name: string,
  network: number,
): ExecRequest["network"] => {
  if (network === NETWORK_NONE) return "none";
  if (network !== NETWORK_HOST) return "default";
  if (entitlements.includes("network.host")) return "host";
  const reason = `"${name}" asks for the host's network: --allow network.host grants it`;
  throw new NaruError("permission_denied", reason);
};

/** Throws permission_denied for what the client did not grant. */
export const isInsecure = (
  entitlements: readonly string[],
  name: string,
  security: number,
): boolean => {
  if (security !== INSECURE) return false;
  if (entitlements.includes("security.insecure")) return true;
  const reason = `"${name}" asks for security.insecure: --allow security.insecure grants it`;
  throw new NaruError("permission_denied", reason);
};

const check = (run: LlbRun, vertex: LlbVertex, op: ExecOp): void => {
  isInsecure(run.request.entitlements, vertex.name, op.security);
  const device = op.devices.find(({ optional }) => !optional);
  if (device !== undefined) throw refuseOp(vertex, `device "${device.name}"`, "leave it out");
};

const proxies = ({ meta }: ExecOp): string[] => {
  const proxy = meta?.proxyEnv;
  if (proxy === undefined) return [];
  const named: [string, string][] = [
    ["HTTP_PROXY", proxy.httpProxy],
    ["HTTPS_PROXY", proxy.httpsProxy],
    ["FTP_PROXY", proxy.ftpProxy],
    ["NO_PROXY", proxy.noProxy],
    ["ALL_PROXY", proxy.allProxy],
  ];
  return named.flatMap(([name, value]) =>
    value === "" ? [] : [`${name}=${value}`, `${name.toLowerCase()}=${value}`],
  );
};

/** Mounts other than the root; `keptAt` says where a writable one's files lie that become an output. */
export const stepMount = (
  trees: LayerTrees,
  { mount, tree }: MountInput,
  keptAt: string | undefined,
): StepMount => {
  const target = posix.resolve("/", mount.dest);
  const isReadonly = mount.readonly;
  switch (mount.mountType) {
    case SECRET: {
      const { id = "", uid = 0, gid = 0, mode = 0o400, optional = false } = mount.secret ?? {};
      const isRequired = !optional;
      const secret = { id, target, mode, uid, gid, isRequired, env: undefined };
      return { mount: { type: "secret", ...secret }, tree: undefined };
    }
    case SSH: {
      const { id = "", uid = 0, gid = 0, mode = 0o600, optional = false } = mount.ssh ?? {};
      const ssh = { id: id || "default", target, mode, uid, gid, isRequired: !optional };
      return { mount: { type: "ssh", ...ssh }, tree: undefined };
    }
    case CACHE: {
      const { id = "", sharing = 0 } = mount.cache ?? {};
      const source = posix.resolve("/", mount.selector);
      const files = { source, from: { kind: "scratch" as const }, isReadonly, target };
      const owner = { mode: 0o755, uid: 0, gid: 0, hasOwner: false };
      const cache = { id: id || target, sharing: SHARING[sharing] ?? "shared", ...files, ...owner };
      const from = tree === undefined ? undefined : trees.tree(tree, "a cache's first content");
      return { mount: { type: "cache", ...cache }, tree: from };
    }
    case TMPFS: {
      const sizeLimitBytes = Number(mount.tmpfs?.size ?? 0n) || undefined;
      return { mount: { type: "tmpfs", target, sizeLimitBytes, isReadonly }, tree: undefined };
    }
    default: {
      const source = posix.resolve("/", mount.selector).slice(1);
      const files = { from: { kind: "scratch" as const }, source, target, isReadonly };
      const from = keptAt === undefined ? trees.tree(tree, `what is at ${target}`) : undefined;
      return {
        mount: { type: "bind", ...files },
        tree: from,
        ...(keptAt === undefined ? {} : { keptAt }),
      };
    }
  }
};

export const socketsOf = async (
  client: Pick<LlbClient, "sshSocket">,
  mounts: readonly ExecMount[],
): Promise<Map<string, string>> => {
  const found = new Map<string, string>();
  for (const { mountType, ssh } of mounts) {
    if (mountType !== SSH) continue;
    const id = ssh?.id || "default";
    const socket = await client.sshSocket(id);
    if (socket !== undefined) found.set(id, socket);
  }
  return found;
};

const secretVariables = (op: ExecOp): StepMount[] =>
  op.secretEnv.map(({ id, name, optional }) => ({
    mount: {
      type: "secret",
      id,
      target: undefined,
      mode: 0o400,
      uid: 0,
      gid: 0,
      isRequired: !optional,
      env: name || id,
    },
    tree: undefined,
  }));

/** As a container has them; 0 and "" say nothing. They are no part of the key. */
const limitsOf = ({ metadata }: LlbVertex): Partial<HostConfig> => {
  const limits = metadata?.linuxResources;
  if (limits === undefined) return {};
  const numbers = {
    Memory: limits.memory,
    MemorySwap: limits.memorySwap,
    CpuShares: limits.cpuShares,
    CpuPeriod: limits.cpuPeriod,
    CpuQuota: limits.cpuQuota,
  };
  const texts = { CpusetCpus: limits.cpusetCpus, CpusetMems: limits.cpusetMems };
  return Object.fromEntries([
    ...Object.entries(numbers)
      .filter(([, value]) => value !== 0n)
      .map(([name, value]) => [name, Number(value)]),
    ...Object.entries(texts).filter(([, value]) => value !== ""),
  ]) as Partial<HostConfig>;
};

const requestOf = async (
  run: LlbRun,
  vertex: LlbVertex,
  op: ExecOp,
  mounts: readonly StepMount[],
): Promise<ExecRequest> => {
  const { meta } = op;
  const env = meta?.env ?? [];
  const root = op.mounts.find(({ dest }) => dest === "/");
  return {
    args: meta?.args ?? [],
    env: env.some((entry) => entry.startsWith("PATH=")) ? env : [...env, DEFAULT_PATH],
    ambientEnv: proxies(op),
    workingDir: meta?.cwd || "/",
    user: meta?.user ?? "",
    network: networkOf(run.request.entitlements, vertex.name, op.network),
    extraHosts: (meta?.extraHosts ?? []).map(({ host, ip }) => `${host}:${ip}`),
    hostname: meta?.hostname || undefined,
    validExitCodes: meta?.validExitCodes ?? [],
    hostConfig: {
      ...limitsOf(vertex),
      ...(root?.readonly === true ? { ReadonlyRootfs: true } : {}),
      ...(op.security === INSECURE ? { Privileged: true } : {}),
      ...(meta === undefined || meta.ulimit.length === 0
        ? {}
        : {
            Ulimits: meta.ulimit.map(({ name, soft, hard }) => ({
              Name: name,
              Soft: Number(soft),
              Hard: Number(hard),
            })),
          }),
      ...(meta?.cgroupParent ? { CgroupParent: meta.cgroupParent } : {}),
    },
    script: undefined,
    mounts,
    mountSources: {
      cacheMounts: run.cacheMounts,
      secrets: (id) => run.request.client.secret(id),
      sshSockets: await socketsOf(run.request.client, op.mounts),
    },
    inputs: {},
    parent: undefined,
    description: vertex.name,
  };
};

const isKept = ({ mountType, readonly, output }: ExecMount): boolean =>
  mountType === BIND && !readonly && output >= 0n;

/** Runs the process; the layers of each output by its number. */
const runProcess = async (
  run: LlbRun,
  vertex: LlbVertex,
  op: ExecOp,
  inputs: readonly MountInput[],
  context: RunContext,
): Promise<ReadonlyMap<number, LlbTree>> => {
  const { snapshots } = run.dependencies;
  const { id } = context;
  await using undo = new AsyncDisposableStack();
  const prepared = inputs.flatMap((input, index) => {
    const isRoot = input.mount.dest === "/";
    if (!isRoot && !isKept(input.mount)) return [];
    const snapshot = isRoot ? id : `${id}-kept-${index}`;
    snapshots.prepare(snapshot, input.tree);
    // Unknown is no error: a committed one is gone by then.
    undo.defer(() => snapshots.remove(snapshot));
    return [{ ...input, isRoot, snapshot, path: snapshots.mount(snapshot, true) }];
  });
  const rootfs = prepared.find(({ isRoot }) => isRoot)?.path;
  if (rootfs === undefined) {
    throw new NaruError("invalid_argument", `"${vertex.name}" has no mount at "/"`);
  }
  const mounts = inputs
    .filter(({ mount }) => mount.dest !== "/")
    .map((input) =>
      stepMount(run.trees, input, prepared.find(({ mount }) => mount === input.mount)?.path),
    );
  const all = [...mounts, ...secretVariables(op)];
  const request = await requestOf(run, vertex, op, all);
  const hiddenPaths = await runStepProcess(run.dependencies, request, rootfs, context);
  const outputs = new Map<number, LlbTree>();
  for (const { mount, tree, isRoot, snapshot } of prepared) {
    if (!isKept(mount)) continue;
    const hidden = isRoot ? hiddenPaths : [];
    const made = { ...context, id: snapshot };
    outputs.set(Number(mount.output), await commitSnapshot(run.dependencies, made, tree, hidden));
  }
  return outputs;
};

const inputName = ({ mount }: MountInput): string => `what is at ${mount.dest}`;

/** `runs` has the processes of this graph by vertex: one gives all of its outputs. */
export const solveExec = async (
  run: LlbRun,
  vertex: LlbVertex,
  op: ExecOp,
  index: number,
  runs: Map<string, Promise<ReadonlyMap<number, LlbTree>>>,
): Promise<LlbOutput> => {
  check(run, vertex, op);
  const network = networkOf(run.request.entitlements, vertex.name, op.network);
  const inputs: MountInput[] = [];
  for (const mount of op.mounts) {
    const isEmpty = mount.input < 0n;
    const tree = isEmpty ? undefined : await run.inputOf(vertex, Number(mount.input));
    inputs.push({ mount, tree });
  }
  const own = inputs.find(({ mount }) => isKept(mount) && Number(mount.output) === index);
  if (own === undefined) {
    throw new NaruError("invalid_argument", `"${vertex.name}" has no output ${index}`);
  }
  const { meta } = op;
  const solving = solveVertex(run, vertex, {
    description: vertex.name,
    definition: {
      op: "llb.exec",
      output: index,
      command: meta?.args ?? [],
      environment: meta?.env ?? [],
      "working directory": meta?.cwd ?? "",
      user: meta?.user ?? "",
      network,
      hosts: (meta?.extraHosts ?? []).map(({ host, ip }) => `${host}:${ip}`),
      hostname: meta?.hostname ?? "",
      "valid exit codes": meta?.validExitCodes ?? [],
      "secret variables": op.secretEnv.map(({ id, name }) => `${name}=${id}`),
      mounts: op.mounts.map((mount) => ({
        type: mount.mountType,
        target: mount.dest,
        selector: mount.selector,
        isReadonly: mount.readonly,
        output: Number(mount.output),
        id: mount.cache?.id ?? mount.secret?.id ?? mount.ssh?.id ?? "",
      })),
    },
    parent: own.tree,
    inputs: Object.fromEntries(
      inputs.filter((one) => one !== own).map((one) => [inputName(one), layersInput(one.tree)]),
    ),
    run: async (context) => {
      let running = runs.get(vertex.digest);
      if (running === undefined) {
        running = runProcess(run, vertex, op, inputs, context);
        runs.set(vertex.digest, running);
      }
      return (await running).get(index);
    },
  });
  return await solving.catch((error: unknown) => {
    if (!(error instanceof ExitError)) throw error;
    const what = `process ${goQuoted((meta?.args ?? []).join(" "))} did not complete successfully`;
    const message = `${what}: exit code: ${error.exitCode}`;
    throw new NaruError("internal", message, { cause: error, details: { isUsers: true } });
  });
};
