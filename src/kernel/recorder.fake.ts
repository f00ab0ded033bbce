/**
 * A kernel for tests: every call becomes a line of text, mounts, namespaces, descriptors, attributes
 * and processes are kept in memory, and any call can be made to fail. Nothing touches the machine.
 *
 *     const kernel = createKernelRecorder();
 *     kernel.failOn(3, new NaruError("resource_exhausted", "no space"));
 *     …
 *     expect(kernel.calls).toEqual(["mount overlay /merged overlay nodev lowerdir=/a", …]);
 *     expect(kernel.openFds.size).toBe(0);
 */
import { NaruError } from "#lib/errors.ts";
import type { FileStat, Kernel } from "#kernel/kernel.ts";

type Method = keyof Kernel;

export interface KernelRecorder extends Kernel {
  /** One line a call: the method's name, then its arguments. Failing calls are in it too. */
  readonly calls: string[];
  /** Mount points in the order they were made. */
  readonly mounts: string[];
  readonly netnsPaths: Set<string>;
  readonly openFds: Set<number>;
  readonly runningPids: Set<number>;
  /** The n-th call from now (1 is the next one) of any method throws `error`. */
  failOn(n: number, error: unknown): void;
  /** The next call of `method` throws `error`. */
  failNext(method: Method, error: unknown): void;
  /** From now on `method` answers by `reply` instead of from memory. */
  answer<M extends Method>(method: M, reply: Kernel[M]): void;
  /** Marks the process as ended and wakes those who wait for it. */
  endProcess(pid: number): void;
}

const show = (argument: unknown): string => {
  if (typeof argument === "string")
    return /^[^\s"]+$/.test(argument) ? argument : JSON.stringify(argument);
  if (Array.isArray(argument)) return argument.length === 0 ? "-" : argument.map(show).join(",");
  if (argument instanceof Uint8Array) return `<${argument.length} bytes>`;
  if (typeof argument === "function") return "<work>";
  if (argument instanceof AbortSignal || argument === undefined) return "";
  return JSON.stringify(argument);
};

const missing = (path: string): NaruError =>
  new NaruError("not_found", `"${path}" does not exist`, { details: { errno: "ENOENT", path } });

const DIRECTORY: FileStat = {
  mode: 0o040755,
  uid: 0,
  gid: 0,
  size: 4096,
  rdevMajor: 0,
  rdevMinor: 0,
  ino: 2n,
  dev: 1n,
  nlink: 2,
  mtime: { seconds: 0, nanoseconds: 0 },
};

/** What the recorder remembers, shared by the answers below. */
const createMemory = () => ({
  mounts: [] as string[],
  netnsPaths: new Set<string>(),
  openFds: new Set<number>(),
  runningPids: new Set<number>(),
  waiters: new Map<number, (() => void)[]>(),
  attributes: new Map<string, Map<string, Uint8Array>>(),
  nextFd: 1000,
});
type Memory = ReturnType<typeof createMemory>;

const endProcess = (memory: Memory, pid: number): void => {
  memory.runningPids.delete(pid);
  for (const wake of memory.waiters.get(pid) ?? []) wake();
  memory.waiters.delete(pid);
};

const mountAnswers = (memory: Memory): Pick<Kernel, "mount" | "unmount" | "mountsUnder"> => ({
  mount: (_source, target, type, flags) => {
    const isNew = !flags.includes("remount") && (type !== "" || flags.includes("bind"));
    if (isNew) memory.mounts.push(target);
  },
  unmount: (target) => {
    const at = memory.mounts.lastIndexOf(target);
    if (at !== -1) memory.mounts.splice(at, 1);
  },
  mountsUnder: (prefix) =>
    memory.mounts
      .filter((point) => point === prefix || point.startsWith(`${prefix}/`))
      .toReversed()
      .toSorted((a, b) => b.length - a.length),
});

const processAnswers = (
  memory: Memory,
): Pick<
  Kernel,
  | "kill"
  | "waitForEnd"
  | "startTime"
  | "hardLimit"
  | "limitProcess"
  | "raiseSoftLimit"
  | "releaseCode"
> => ({
  kill: (pid, signal) => {
    const isRunning = memory.runningPids.has(Math.abs(pid));
    if (signal === 9) endProcess(memory, Math.abs(pid));
    return isRunning;
  },
  waitForEnd: (pid, signal) => {
    if (!memory.runningPids.has(pid)) return Promise.resolve();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    memory.waiters.set(pid, [...(memory.waiters.get(pid) ?? []), resolve]);
    signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    return promise;
  },
  startTime: (pid) => (memory.runningPids.has(pid) ? BigInt(pid) : undefined),
  hardLimit: () => 2n ** 64n - 1n,
  limitProcess: () => undefined,
  raiseSoftLimit: () => 2n ** 64n - 1n,
  releaseCode: () => undefined,
});

const answersOf = (memory: Memory): Kernel => {
  const open = (): number => {
    const fd = memory.nextFd++;
    memory.openFds.add(fd);
    return fd;
  };
  const nothing = (): void => undefined;
  return {
    ...mountAnswers(memory),
    ...processAnswers(memory),
    mountDetached: open,
    openInRoot: open,
    openAt: open,
    close: (fd) => void memory.openFds.delete(fd),
    mkdirAt: nothing,
    unlinkAt: nothing,
    symlinkAt: nothing,
    linkAt: nothing,
    renameAt: nothing,
    readlinkAt: () => "",
    mknodAt: nothing,
    statAt: () => DIRECTORY,
    chownAt: nothing,
    chmodAt: nothing,
    setTimesAt: nothing,
    setXattr: (path, name, value) => {
      memory.attributes.set(path, (memory.attributes.get(path) ?? new Map()).set(name, value));
    },
    getXattr: (path, name) => memory.attributes.get(path)?.get(name),
    listXattrs: (path) => [...(memory.attributes.get(path)?.keys() ?? [])],
    readDir: () => [],
    lockFile: () => true,
    fdPath: (fd) => `/proc/1/fd/${fd}`,
    pipe: () => ({ readFd: open(), writeFd: open() }),
    becomeFile: nothing,
    waitReadable: () => undefined,
    connectSeqpacket: open,
    shutdownWrite: nothing,
    sendDatagram: nothing,
    localAddress: () => ({ family: "unix", path: "" }),
    createNetns: (path) => {
      if (memory.netnsPaths.has(path)) {
        throw new NaruError("already_exists", `"${path}" exists already`);
      }
      memory.netnsPaths.add(path);
    },
    handNetnsOver: nothing,
    removeNetns: (path) => void memory.netnsPaths.delete(path),
    inNetns: (path, work) => {
      if (!memory.netnsPaths.has(path)) throw missing(path);
      return work();
    },
    inNewMountNamespace: (work) => work(),
    inMountNamespaceOf: (_pid, work) => work(),
  };
};

export const createKernelRecorder = (): KernelRecorder => {
  const memory = createMemory();
  const calls: string[] = [];
  const failNext = new Map<string, unknown>();
  const failOn = new Map<number, unknown>();
  const answers = answersOf(memory) as unknown as Record<string, (...args: unknown[]) => unknown>;

  const record = (method: string, args: readonly unknown[]): unknown => {
    calls.push([method, ...args.map(show).filter((text) => text !== "")].join(" "));
    for (const [failures, key] of [[failOn, calls.length] as const, [failNext, method] as const]) {
      if (!failures.has(key as never)) continue;
      const error = failures.get(key as never);
      failures.delete(key as never);
      // As with the real one, what is asynchronous rejects.
      if (method === "waitForEnd") return Promise.reject(error as Error);
      throw error;
    }
    return answers[method]?.(...args);
  };

  const methods = Object.fromEntries(
    Object.keys(answers).map((method) => [method, (...args: unknown[]) => record(method, args)]),
  ) as unknown as Kernel;

  return {
    ...methods,
    calls,
    mounts: memory.mounts,
    netnsPaths: memory.netnsPaths,
    openFds: memory.openFds,
    runningPids: memory.runningPids,
    failOn: (n, error) => void failOn.set(calls.length + n, error),
    failNext: (method, error) => void failNext.set(method, error),
    answer: (method, reply) => {
      answers[method] = reply as (...args: unknown[]) => unknown;
    },
    endProcess: (pid) => endProcess(memory, pid),
  };
};
