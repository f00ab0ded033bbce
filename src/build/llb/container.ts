/**
 * Containers beside the steps of a build: whoever makes its definitions looks into a result with them, by processes of
 * his own. The mounts are a copy that nobody keeps. See `BuildContainer` in llb.ts.
 */
import { randomHex, sleep } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import type { BuildDependencies } from "#build/dependencies.ts";
import { checkCanRun } from "#build/emulation.ts";
import {
  DEFAULT_PATH,
  type MountInput,
  isInsecure,
  networkOf,
  socketsOf,
  stepMount,
} from "#build/llb/exec.ts";
import type {
  BuildContainer,
  ContainerProcess,
  ContainerProcessRequest,
  ContainerRequest,
} from "#build/llb/llb.ts";
import type { CacheMounts } from "#build/op/cache-mounts.ts";
import { type ExecRequest, type StepPlace, prepareStep, stepConfig } from "#build/op/exec.ts";
import { ResultFiles } from "#build/result-files.ts";
import type { Solver } from "#build/solver.ts";
import { LayerTrees } from "#build/trees.ts";
import type { ExecProcess, ExitNotice, Stdio } from "#runtime/runtime.ts";

interface Rooms {
  readonly dependencies: BuildDependencies;
  readonly solver: Solver;
  readonly cacheMounts: CacheMounts;
  readonly exits: ContainerExits;
}

const SIGKILL = 9;
/** From SIGKILL to the exit: a monitor that is gone tells none. */
const EXIT_TIMEOUT_MS = 10_000;
/** Of a process that did not start. */
const NOT_STARTED_CODE = 255;

/** Who waits for the exit of which container. One for each runtime. */
export class ContainerExits {
  readonly #runtime: BuildDependencies["runtime"];
  readonly #waiting = new Map<string, (exitCode: number) => void>();

  constructor(runtime: BuildDependencies["runtime"]) {
    this.#runtime = runtime;
    runtime.onExit((notice: ExitNotice) => this.#tell(notice));
  }

  /** To be called before the process starts. */
  expect(id: string): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#waiting.set(id, resolve);
    return promise;
  }

  /** There will be none. */
  forget(id: string): void {
    this.#waiting.delete(id);
  }

  /** Who created it looks once: it may have been over before anybody watched. */
  check(id: string): void {
    const past = this.#runtime.pastExit(id);
    if (past !== undefined) this.#tell(past);
  }

  #tell({ id, exitCode }: ExitNotice): void {
    this.#waiting.get(id)?.(exitCode);
    this.#waiting.delete(id);
  }
}

const NOTHING: Stdio = {
  output: {
    [Symbol.asyncIterator]: () => ({
      next: () => Promise.resolve({ done: true, value: undefined }),
    }),
  },
  write: () => Promise.resolve(),
  closeStdin: () => undefined,
  close: () => undefined,
};

const notStarted = (error: unknown): ContainerProcess => {
  const exited = Promise.reject<number>(error);
  exited.catch(() => undefined); // Told to who waits for it.
  return { stdio: NOTHING, exited, resize: () => undefined, signal: () => undefined };
};

class HeldContainer implements BuildContainer {
  readonly #rooms: Rooms;
  readonly #request: ContainerRequest;
  readonly #rootfs: string;
  readonly #place: StepPlace;
  readonly #targets: readonly string[];
  readonly #undo: AsyncDisposableStack;
  readonly #processes = new Set<ExecProcess>();
  /** The first process is there, or it did not start. */
  #first: Promise<ContainerProcess> | undefined;
  /** Further ones that are neither there nor refused yet. */
  readonly #starting = new Set<Promise<ContainerProcess>>();
  /** Its own process is there and has not ended. */
  #kill: (() => void) | undefined;
  #isOver = false;

  constructor(
    rooms: Rooms,
    request: ContainerRequest,
    place: StepPlace,
    rootfs: string,
    undo: AsyncDisposableStack,
  ) {
    this.#rooms = rooms;
    this.#request = request;
    this.#place = place;
    this.#rootfs = rootfs;
    this.#targets = request.mounts.map(({ mount }) => mount.dest);
    this.#undo = undo;
  }

  async start(asked: ContainerProcessRequest): Promise<ContainerProcess> {
    if (asked.args.length === 0) {
      throw new NaruError("invalid_argument", "a process without arguments: there is none to run");
    }
    const request = await this.#execRequest(asked);
    const config = stepConfig(this.#rooms.dependencies, request, this.#rootfs, this.#place);
    if (this.#first === undefined && !this.#isOver) {
      this.#first = this.#run(asked, JSON.stringify(config));
      return await this.#first;
    }
    await this.#first;
    if (this.#isOver) throw new NaruError("failed_precondition", "the container has ended");
    const starting = this.#exec(asked, JSON.stringify(config.process));
    this.#starting.add(starting);
    try {
      return await starting;
    } finally {
      this.#starting.delete(starting);
    }
  }

  files(mountIndex: number): ResultFiles {
    const { kernel } = this.#rooms.dependencies;
    return new ResultFiles(kernel, {
      path: this.#pathOf(mountIndex),
      [Symbol.dispose]: () => undefined,
    });
  }

  #pathOf(mountIndex: number): string {
    const target = this.#targets[mountIndex];
    if (target === undefined) {
      const reason = `mount ${mountIndex} is not one of the container's ${this.#targets.length}`;
      throw new NaruError("out_of_range", reason);
    }
    if (target === "/") return this.#rootfs;
    const { mounts } = this.#place.prepared;
    const mount = mounts.find(({ destination }) => destination === target);
    if (mount?.type === "bind" && mount.source !== undefined) return mount.source;
    const what = `files of the container's mount at "${target}"`;
    throw new NaruError(
      "not_implemented",
      `${what} are in its memory alone: read them by a process`,
    );
  }

  async #execRequest(asked: ContainerProcessRequest): Promise<ExecRequest> {
    const { name, network, extraHosts, hostname, client, entitlements } = this.#request;
    const isPrivileged = isInsecure(entitlements, name, asked.security);
    const env = [...asked.env];
    if (!env.some((entry) => entry.startsWith("PATH="))) env.push(DEFAULT_PATH);
    for (const { id, name: variable, optional } of asked.secretEnv) {
      const value = await client.secret(id);
      if (value !== undefined) env.push(`${variable || id}=${Buffer.from(value).toString()}`);
      else if (!optional) {
        throw new NaruError(
          "not_found",
          `secret "${id}" of the variable "${variable}" was not given`,
        );
      }
    }
    return {
      args: asked.args,
      env,
      ambientEnv: [],
      workingDir: asked.workingDir || "/",
      user: asked.user,
      network: networkOf(entitlements, name, network),
      extraHosts,
      ...(hostname === "" ? {} : { hostname }),
      isTty: asked.isTty,
      hostConfig: isPrivileged ? { Privileged: true } : {},
      script: undefined,
      mounts: [],
      mountSources: this.#sources(new Map()),
      inputs: {},
      parent: undefined,
      description: name,
    };
  }

  #sources(sshSockets: ReadonlyMap<string, string>): ExecRequest["mountSources"] {
    return sourcesOf(this.#rooms, this.#request, sshSockets);
  }

  /** The container's own process. */
  async #run(asked: ContainerProcessRequest, config: string): Promise<ContainerProcess> {
    const { dependencies, exits } = this.#rooms;
    const { runtime, kernel } = dependencies;
    const { id, bundle } = this.#place;
    const { isTty, hasStdin } = asked;
    const ended = exits.expect(id);
    let stdio: Stdio;
    let pid: number;
    try {
      const created = await runtime.create({
        id,
        bundle,
        config: () => Promise.resolve(config),
        logPath: undefined,
        isTty,
        hasStdin,
        keepsStdinOpen: false,
      });
      ({ pid } = created);
      this.#kill = () => void kernel.kill(created.pid, SIGKILL);
      this.#undo.defer(async () => {
        // Its monitor writes the exit down: after that, nothing of it appears any more.
        this.#kill?.();
        await Promise.race([ended, sleep(EXIT_TIMEOUT_MS)]);
        exits.forget(id);
        await runtime.delete(id);
      });
      stdio = runtime.attach(id);
      await runtime.start(id, created);
    } catch (error) {
      this.#isOver = true;
      if (this.#kill === undefined) exits.forget(id);
      return notStarted(error);
    }
    exits.check(id);
    const exited = ended.then((exitCode) => {
      this.#isOver = true;
      this.#kill = undefined;
      return exitCode;
    });
    return {
      stdio,
      exited,
      resize: (size) => {
        if (isTty && !this.#isOver) runtime.resize(bundle, size);
      },
      signal: (number) => {
        if (!this.#isOver) kernel.kill(pid, number);
      },
    };
  }

  /** One more process beside it. */
  async #exec(asked: ContainerProcessRequest, process: string): Promise<ContainerProcess> {
    const { runtime, kernel } = this.#rooms.dependencies;
    const { isTty, hasStdin } = asked;
    const started = await runtime.exec({
      id: this.#place.id,
      execId: randomHex(32),
      process,
      isTty,
      hasStdin,
      isDetached: false,
      explain: (text) => ({ message: text.trim(), exitCode: NOT_STARTED_CODE }),
    });
    this.#processes.add(started);
    let isOver = false;
    const exited = started.exited.finally(() => {
      isOver = true;
      this.#processes.delete(started);
    });
    exited.catch(() => undefined); // Told to who waits for it.
    return {
      stdio: started.stdio ?? NOTHING,
      exited,
      resize: (size) => {
        if (isTty && !isOver) started.resize(size);
      },
      signal: (number) => {
        if (!isOver && started.pid() > 0) kernel.kill(started.pid(), number);
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    // What is half started would put its undo onto a stack that is gone.
    await this.#first;
    // Before the others: one that has no number yet ends with it alone.
    this.#kill?.();
    await Promise.allSettled(this.#starting);
    const { kernel } = this.#rooms.dependencies;
    for (const process of this.#processes) {
      if (process.pid() > 0) kernel.kill(process.pid(), SIGKILL);
    }
    await Promise.allSettled([...this.#processes].map(({ exited }) => exited));
    await this.#undo.disposeAsync();
  }
}

const sourcesOf = (
  { cacheMounts }: Rooms,
  { client }: ContainerRequest,
  sshSockets: ReadonlyMap<string, string>,
): ExecRequest["mountSources"] => ({
  cacheMounts,
  secrets: (id) => client.secret(id),
  sshSockets,
});

const NAME = "a container of the build's own";

/** Its mounts and its network are there; no process yet. The caller disposes of it, after which nothing is left. */
export const openContainer = async (
  rooms: Rooms,
  request: ContainerRequest,
): Promise<BuildContainer> => {
  const { dependencies, solver } = rooms;
  const { mounts, platform, entitlements, signal } = request;
  if (platform !== undefined) checkCanRun(platform);
  const network = networkOf(entitlements, request.name, request.network);
  const root = mounts.find(({ mount }) => mount.dest === "/");
  if (root === undefined) throw new NaruError("invalid_argument", `${NAME} has no mount at "/"`);
  const id = randomHex(32);
  await using undo = new AsyncDisposableStack();
  const trees = undo.use(new LayerTrees(dependencies));
  for (const { tree } of mounts) undo.use(solver.hold(tree));
  const { snapshots } = dependencies;
  snapshots.prepare(id, root.tree);
  undo.defer(() => snapshots.remove(id));
  const rootfs = snapshots.mount(id, true);
  const others = mounts.filter(({ mount }) => mount.dest !== "/");
  const sockets = await socketsOf(
    request.client,
    mounts.map(({ mount }) => mount),
  );
  const steps = others.map((input: MountInput) => stepMount(trees, input, undefined));
  const place = await prepareStep(
    dependencies,
    { network, mounts: steps, mountSources: sourcesOf(rooms, request, sockets) },
    { id, signal },
    undo,
  );
  return new HeldContainer(rooms, request, place, rootfs, undo.move());
};
