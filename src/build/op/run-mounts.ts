/** `RUN --mount`: what is made on the host for each, and how it stands in config.json. */
import { chmodSync, chownSync, mkdirSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { posix } from "node:path";
import type { SecretSource } from "#build/build.ts";
import type { BuildDependencies } from "#build/dependencies.ts";
import type { CacheMounts } from "#build/op/cache-mounts.ts";
import { runCopyPlan } from "#build/op/copy-tree.ts";
import type { SourceTree } from "#build/trees.ts";
import { NaruError, hasCode } from "#lib/errors.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import type { PlannedMount } from "#spec/dockerfile/plan.ts";
import type { RuntimeMount } from "#spec/runtime/config.ts";

const O_PATH = 0o10000000;

/** A mount with what it reads looked up. */
export interface StepMount {
  readonly mount: PlannedMount;
  /** Of bind and cache mounts; undefined for an empty directory. */
  readonly tree: SourceTree | undefined;
  /** Of a bind mount: a directory of the host whose changes stay, in place of a tree. */
  readonly keptAt?: string;
}

export interface MountSources {
  readonly cacheMounts: CacheMounts;
  readonly secrets: SecretSource;
  readonly sshSockets: ReadonlyMap<string, string>;
  /** In front of the ids of caches: the build argument BUILDKIT_CACHE_MOUNT_NS. */
  readonly cacheNamespace?: string | undefined;
}

export interface PreparedMounts {
  readonly mounts: readonly RuntimeMount[];
  /** "NAME=value" for the process alone. */
  readonly env: readonly string[];
  /** Paths that the runtime makes in the root to mount upon. */
  readonly targets: readonly string[];
}

interface MountContext {
  readonly dependencies: BuildDependencies;
  readonly sources: MountSources;
  readonly undo: AsyncDisposableStack;
  readonly bundle: string;
  readonly id: string;
  readonly signal: AbortSignal;
}

type MountOf<T extends PlannedMount["type"]> = Extract<PlannedMount, { readonly type: T }>;

/** The real path of `path` inside `root`, symlinks resolved by the kernel. Throws not_found. */
const insidePath = (kernel: FileKernel, root: string, path: string): string => {
  try {
    const fd = kernel.openInRoot(root, path === "" ? "." : path, O_PATH);
    try {
      return readlinkSync(kernel.fdPath(fd));
    } finally {
      kernel.close(fd);
    }
  } catch (error) {
    if (!hasCode(error, "not_found")) throw error;
    throw new NaruError("not_found", `mount source "${path}" was not found`, { cause: error });
  }
};

const bind = (target: string, source: string, ...options: readonly string[]): RuntimeMount => ({
  destination: target,
  type: "bind",
  source,
  options: ["rbind", "rprivate", ...options],
});

/** A writable view whose changes nobody keeps. */
const scratchOver = (context: MountContext, root: string, index: number): string => {
  const { kernel } = context.dependencies;
  const base = `${context.dependencies.paths.work}/mount-${context.id}-${index}`;
  const [upper, work, merged] = [`${base}/upper`, `${base}/work`, `${base}/merged`];
  for (const path of [upper, work, merged]) mkdirSync(path, { recursive: true, mode: 0o755 });
  context.undo.defer(async () => {
    kernel.unmount(merged);
    const { rm } = await import("node:fs/promises");
    await rm(base, { recursive: true, force: true });
  });
  kernel.mount(
    "overlay",
    merged,
    "overlay",
    [],
    `lowerdir=${root},upperdir=${upper},workdir=${work}`,
  );
  return merged;
};

const prepareBind = (
  context: MountContext,
  mount: MountOf<"bind">,
  { tree, keptAt }: StepMount,
  index: number,
): RuntimeMount => {
  if (keptAt !== undefined) {
    const source = insidePath(context.dependencies.kernel, keptAt, mount.source);
    return bind(mount.target, source, "rw");
  }
  if (tree === undefined) throw new NaruError("internal", "a bind mount without a tree");
  const { kernel } = context.dependencies;
  const { target } = mount;
  if (mount.isReadonly) return bind(target, insidePath(kernel, tree.root, mount.source), "ro");
  const layers = tree.layers;
  if (layers === undefined) {
    const merged = scratchOver(context, tree.root, index);
    return bind(target, insidePath(kernel, merged, mount.source), "rw");
  }
  const { snapshots } = context.dependencies;
  const id = `${context.id}-${index}`;
  snapshots.prepare(id, layers.chainId);
  context.undo.defer(() => snapshots.remove(id));
  return bind(target, insidePath(kernel, snapshots.mount(id, true), mount.source), "rw");
};

/** As BuildKit tells caches of one id apart: by the files and the owner that they begin with. */
const begunWith = (mount: MountOf<"cache">, tree: SourceTree | undefined): string =>
  [
    ...(mount.hasOwner ? [`${mount.uid}:${mount.gid}:${mount.mode.toString(8)}`] : []),
    ...(tree?.layers?.chainId === undefined ? [] : [`${tree.layers.chainId} ${mount.source}`]),
  ].join(" ");

/** A directory of the tree with its own mode and owner. */
const fillCache = async (
  kernel: FileKernel,
  cachePath: string,
  tree: SourceTree,
  source: string,
): Promise<void> => {
  const path = source.replace(/^\/+/, "");
  const item = { root: tree.root, path, target: "", isUnpacked: false, ignored: [] };
  await runCopyPlan(kernel, { targetRoot: cachePath, items: [item] });
  const { mode, uid, gid } = statSync(insidePath(kernel, tree.root, path));
  chownSync(cachePath, uid, gid);
  chmodSync(cachePath, mode & 0o7777);
};

const prepareCache = async (
  context: MountContext,
  mount: MountOf<"cache">,
  tree: SourceTree | undefined,
): Promise<RuntimeMount> => {
  const { kernel } = context.dependencies;
  const { sharing, target } = mount;
  const { cacheMounts, cacheNamespace = "" } = context.sources;
  const id = cacheNamespace === "" ? mount.id : `${cacheNamespace}/${mount.id}`;
  const begun = begunWith(mount, tree);
  const cache = await cacheMounts.acquire(id, sharing, context.signal, begun);
  context.undo.use(cache);
  if (cache.isNew) {
    if (tree !== undefined) await fillCache(kernel, cache.path, tree, mount.source);
    if (tree === undefined || mount.hasOwner) {
      chmodSync(cache.path, mount.mode);
      chownSync(cache.path, mount.uid, mount.gid);
    }
  }
  const source =
    tree === undefined && mount.source !== "/"
      ? insidePath(kernel, cache.path, mount.source)
      : cache.path;
  return bind(target, source, mount.isReadonly ? "ro" : "rw");
};

/** Memory that is gone with the step: secrets never reach a disk. */
const secretDirectory = (context: MountContext): string => {
  const directory = `${context.bundle}/secrets`;
  const { kernel } = context.dependencies;
  mkdirSync(directory, { mode: 0o700 });
  kernel.mount("tmpfs", directory, "tmpfs", ["nosuid", "nodev", "noexec"], "mode=0700,size=16m");
  context.undo.defer(() => kernel.unmount(directory));
  return directory;
};

const missingSecret = (id: string): NaruError =>
  new NaruError(
    "invalid_argument",
    `secret "${id}" is required but was not given: add --secret id=${id},src=FILE`,
  );

interface SecretResult {
  readonly mount?: RuntimeMount;
  readonly env?: string;
}

const prepareSecret = async (
  context: MountContext,
  mount: MountOf<"secret">,
  index: number,
  directory: () => string,
): Promise<SecretResult> => {
  const { id, target } = mount;
  const value = await context.sources.secrets(id);
  if (value === undefined) {
    if (mount.isRequired) throw missingSecret(id);
    return {};
  }
  const env =
    mount.env === undefined ? {} : { env: `${mount.env}=${Buffer.from(value).toString("utf8")}` };
  if (target === undefined) return env;
  const file = `${directory()}/${index}`;
  writeFileSync(file, value, { mode: 0o600 });
  chmodSync(file, mount.mode);
  chownSync(file, mount.uid, mount.gid);
  return { ...env, mount: bind(posix.resolve("/", target), file, "ro") };
};

const prepareSsh = (
  context: MountContext,
  mount: MountOf<"ssh">,
  index: number,
): { mount: RuntimeMount; env: string } | undefined => {
  const { id } = mount;
  const target = posix.resolve("/", mount.target ?? `/run/buildkit/ssh_agent.${index}`);
  const socket = context.sources.sshSockets.get(id);
  if (socket !== undefined) {
    return { mount: bind(target, socket, "rw"), env: `SSH_AUTH_SOCK=${target}` };
  }
  if (!mount.isRequired) return undefined;
  throw new NaruError(
    "invalid_argument",
    `ssh agent "${id}" is required but was not given: add --ssh ${id}`,
  );
};

const tmpfs = (target: string, sizeBytes: number | undefined): RuntimeMount => ({
  destination: target,
  type: "tmpfs",
  source: "tmpfs",
  options: [
    "nosuid",
    "nodev",
    "mode=1777",
    ...(sizeBytes === undefined ? [] : [`size=${sizeBytes}`]),
  ],
});

/** What it makes on the host goes onto `undo`. */
export const prepareMounts = async (
  context: MountContext,
  wanted: readonly StepMount[],
): Promise<PreparedMounts> => {
  const mounts: RuntimeMount[] = [];
  const env: string[] = [];
  let secrets: string | undefined;
  const directory = (): string => (secrets ??= secretDirectory(context));
  for (const [index, step] of wanted.entries()) {
    const { mount, tree } = step;
    switch (mount.type) {
      case "bind":
        mounts.push(prepareBind(context, mount, step, index));
        break;
      case "cache":
        mounts.push(await prepareCache(context, mount, tree));
        break;
      case "tmpfs":
        mounts.push(tmpfs(mount.target, mount.sizeLimitBytes));
        break;
      case "secret": {
        const made = await prepareSecret(context, mount, index, directory);
        if (made.mount !== undefined) mounts.push(made.mount);
        if (made.env !== undefined) env.push(made.env);
        break;
      }
      case "ssh": {
        const made = prepareSsh(context, mount, index);
        if (made === undefined) break;
        mounts.push(made.mount);
        env.push(made.env);
        break;
      }
    }
  }
  // What lies above is mounted before what lies in it, in whatever order they were written.
  mounts.sort((a, b) =>
    a.destination < b.destination ? -1 : Number(a.destination > b.destination),
  );
  return { mounts, env, targets: mounts.map(({ destination }) => destination) };
};
