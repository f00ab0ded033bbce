/** A backend in memory: one map of records, echoing processes, and a list of what was called. */
import type { DockerBackend, ProgressMessage } from "#api/docker/backend.ts";
import type { ContainerRecord } from "#container/container.ts";
import type {
  Containers,
  LogLine,
  OutputChunk,
  StdioSession,
  WaitResult,
} from "#container/containers.ts";
import type { ImageRecord } from "#image/image.ts";
import { Broadcaster } from "#lib/broadcaster.ts";
import { NaruError } from "#lib/errors.ts";
import { silentLogger } from "#lib/log.ts";
import { type Digest, parseDigest } from "#spec/image/digest.ts";
import type { EventMessage } from "#spec/docker/event.ts";
import type { HostConfig } from "#spec/docker/host-config.ts";
import type { ImageInspect, ImageSummary } from "#spec/docker/image.ts";
import type { NetworkResponse } from "#spec/docker/network.ts";
import type { SystemFacts } from "#spec/docker/system.ts";
import type { VolumeResponse } from "#spec/docker/volume.ts";

const ZERO = "0001-01-01T00:00:00Z";
const digest = (seed: string): Digest => parseDigest(`sha256:${seed.padEnd(64, "0")}`);

export const fakeRecord = (over: Partial<ContainerRecord> = {}): ContainerRecord => ({
  id: "c1".padEnd(64, "a"),
  name: "web",
  createdAt: "2026-01-02T03:04:05.000000006Z",
  platform: "linux/amd64",
  imageId: digest("1a"),
  config: {
    Hostname: "c1aaaaaaaaaa",
    Domainname: "",
    User: "",
    AttachStdin: false,
    AttachStdout: true,
    AttachStderr: true,
    ExposedPorts: { "80/tcp": {}, "53/udp": {} },
    Tty: false,
    OpenStdin: true,
    StdinOnce: true,
    Env: ["A=<b>&c"],
    Cmd: ["sh", "-c", "echo hi"],
    Image: "naru/hello",
    Volumes: null,
    WorkingDir: "",
    Entrypoint: null,
    OnBuild: null,
    Labels: { app: "web", tier: "1" },
  },
  hostConfig: {
    NetworkMode: "bridge",
    Isolation: "",
    Annotations: { note: "x" },
  } as unknown as HostConfig,
  path: "sh",
  args: ["-c", "echo hi"],
  mounts: [
    {
      Type: "volume",
      Name: "data",
      Source: "/v/data",
      Destination: "/data",
      Mode: "",
      RW: true,
      Propagation: "",
    },
  ],
  endpoints: {
    bridge: {
      IPAMConfig: null,
      Links: null,
      Aliases: ["alias"],
      MacAddress: "02:42:00:00:00:02",
      DriverOpts: null,
      NetworkID: "n1".padEnd(64, "b"),
      EndpointID: "e1",
      Gateway: "172.17.0.1",
      IPAddress: "172.17.0.2",
      IPPrefixLen: 16,
      IPv6Gateway: "",
      GlobalIPv6Address: "",
      GlobalIPv6PrefixLen: 0,
      DNSNames: null,
    },
  },
  ports: { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: "8080" }] },
  logPath: "/logs/c1",
  restartCount: 0,
  isStoppedByUser: false,
  state: {
    status: "running",
    process: { pid: 42, startTicks: "1", conmonPid: 41 },
    exitCode: 0,
    startedAt: "2026-01-02T03:04:06Z",
    finishedAt: ZERO,
    isOomKilled: false,
    error: "",
  },
  ...over,
});

/** Says what it hears, in capitals; ends at end of file or at "exit". */
export class EchoSession implements StdioSession {
  readonly isTty: boolean;
  readonly #queue: OutputChunk[] = [];
  #wake: (() => void) | undefined;
  #isOver = false;
  isClosed = false;
  receivedBytes = 0;
  /** Writes wait for this, to try back-pressure. */
  gate: Promise<void> = Promise.resolve();

  constructor(isTty = false) {
    this.isTty = isTty;
  }

  say(stream: 1 | 2, text: string): void {
    this.#queue.push({ stream, bytes: Buffer.from(text) });
    this.#wake?.();
  }

  over(): void {
    this.#isOver = true;
    this.#wake?.();
  }

  get output(): AsyncIterable<OutputChunk> {
    return this.#read();
  }

  async writeStdin(bytes: Uint8Array): Promise<void> {
    await this.gate;
    this.receivedBytes += bytes.length;
    if (bytes.length > 4096) return;
    const text = Buffer.from(bytes).toString();
    this.say(1, text.toUpperCase());
    if (text.includes("exit")) this.over();
  }

  closeStdin(): void {
    this.say(2, `EOF after ${this.receivedBytes}\n`);
    this.over();
  }

  close(): void {
    this.isClosed = true;
    this.over();
  }

  async *#read(): AsyncGenerator<OutputChunk> {
    for (;;) {
      const chunk = this.#queue.shift();
      if (chunk !== undefined) yield chunk;
      else if (this.#isOver) return;
      else {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        await promise;
      }
    }
  }
}

const facts = {
  ID: "fake",
  Driver: "overlayfs",
  Name: "host",
  SecurityOptions: ["name=seccomp,profile=builtin"],
  RegistryConfig: { IndexConfigs: {}, InsecureRegistryCIDRs: [], Mirrors: [] },
  Runtimes: { crun: { path: "/usr/bin/crun", status: { a: "b" } } },
  ContainerdCommit: { ID: "" },
  RuncCommit: { ID: "r" },
  InitCommit: { ID: "" },
  FirewallBackend: { Driver: "nftables" },
  ServerVersion: "28.5.2",
} as unknown as SystemFacts;

const network = (name: string, id: string): NetworkResponse => ({
  Name: name,
  Id: id.padEnd(64, "b"),
  Created: ZERO,
  Scope: "local",
  Driver: name === "none" ? "null" : name,
  EnableIPv4: true,
  EnableIPv6: false,
  IPAM: {
    Driver: "default",
    Options: null,
    Config: [{ Subnet: "172.17.0.0/16", Gateway: "172.17.0.1" }],
  },
  Internal: false,
  Attachable: false,
  Ingress: false,
  ConfigFrom: { Network: "" },
  ConfigOnly: false,
  Containers: {},
  Options: {},
  Labels: {},
});

const summary: ImageSummary = {
  Id: digest("1a"),
  ParentId: "",
  RepoTags: ["naru/hello:latest"],
  RepoDigests: [],
  Created: 1,
  Size: 100,
  SharedSize: -1,
  Labels: null,
  Containers: 2,
};

export interface FakeBackend extends DockerBackend {
  /** "start web" and the like, in order. */
  readonly calls: string[];
  readonly records: ContainerRecord[];
  readonly live: Broadcaster<EventMessage>;
  readonly waiters: PromiseWithResolvers<WaitResult>[];
  session: EchoSession;
  logLines: LogLine[];
  /** Thrown by the next verb. */
  failure: NaruError | undefined;
}

async function* messages(...list: ProgressMessage[]): AsyncGenerator<ProgressMessage> {
  yield* list;
}

const bytesOf = (text: string): ReadableStream<Uint8Array> =>
  new Response(text).body as ReadableStream<Uint8Array>;

export const createFakeBackend = (): FakeBackend => {
  const calls: string[] = [];
  const records: ContainerRecord[] = [fakeRecord()];
  const live = new Broadcaster<EventMessage>();
  const waiters: PromiseWithResolvers<WaitResult>[] = [];
  const note = (name: string, ...rest: unknown[]): void => {
    calls.push(
      [
        name,
        ...rest.map((value) => (typeof value === "string" ? value : JSON.stringify(value))),
      ].join(" "),
    );
    const { failure } = fake;
    fake.failure = undefined;
    if (failure !== undefined) throw failure;
  };
  const get = (name: string): ContainerRecord => {
    const bare = name.replace(/^\//, "");
    const record = records.find((r) => r.name === bare || r.id.startsWith(bare));
    if (record === undefined) throw new NaruError("not_found", `No such container: ${name}`);
    return record;
  };
  const stat = { name: "f", size: 3, mode: 420, mtime: ZERO, linkTarget: "" };
  const containers: Containers = {
    get,
    list: () => records,
    create: async (name, request, platform) => {
      note("create", name ?? "-", request, platform ?? "-");
      return { Id: "new", Warnings: [] };
    },
    start: async (name) => note("start", get(name).name),
    stop: async (name, options) => note("stop", get(name).name, options),
    restart: async (name, options) => note("restart", get(name).name, options),
    kill: async (name, signal) => note("kill", get(name).name, signal),
    pause: async (name) => note("pause", get(name).name),
    unpause: async (name) => note("unpause", get(name).name),
    rename: async (name, to) => note("rename", get(name).name, to),
    update: async (name, request) => {
      note("update", get(name).name, request);
      return { Warnings: null };
    },
    wait: (name, condition, signal) => {
      note("wait", get(name).name, condition);
      const waiter = Promise.withResolvers<WaitResult>();
      signal.addEventListener("abort", () => {
        calls.push("wait aborted");
        waiter.reject(new NaruError("canceled", "gone"));
      });
      waiters.push(waiter);
      return waiter.promise;
    },
    remove: async (name, options) => note("remove", get(name).name, options),
    prune: async (filters) => {
      note("prune", [...filters]);
      return { ContainersDeleted: ["x"], SpaceReclaimed: 5 };
    },
    attach: async (name, options) => {
      note("attach", get(name).name, options);
      return fake.session;
    },
    logs: (name, options) => {
      const { signal, ...rest } = options;
      calls.push(`logs ${get(name).name} ${Bun.inspect(rest, { compact: true })}`);
      return (async function* () {
        yield* fake.logLines;
        if (!options.follow) return;
        await new Promise<void>((resolve) => {
          signal.addEventListener("abort", () => resolve(), { once: true });
        });
        calls.push("logs aborted");
      })();
    },
    stats: async (name) => ({
      id: get(name).id,
      read: "now",
      cpu_stats: { total: calls.push("stats") },
    }),
    top: async (name, args) => {
      note("top", get(name).name, args);
      return { Titles: ["PID"], Processes: [["1"]] };
    },
    resize: async (name, size) => note("resize", get(name).name, size),
    changes: async () => [],
    sizes: async () => ({ rw: 7, rootFs: 70 }),
    export: async () => bytesOf("tar"),
    statPath: async (name, path) => {
      note("stat", get(name).name, path);
      return stat;
    },
    readArchive: async (name, path) => {
      note("read", get(name).name, path);
      return { stat, tar: bytesOf("tar bytes") };
    },
    writeArchive: async (name, path, tar, options) => {
      let size = 0;
      for await (const part of tar) size += part.length;
      note("write", get(name).name, path, size, options);
    },
    commit: async (request) => {
      note("commit", request);
      return { Id: digest("cc") };
    },
    execCreate: async (name, request) => {
      note("execCreate", get(name).name, request);
      return { Id: "x1" };
    },
    execStart: async (id, options) => {
      note("execStart", id, options);
      return options.detach ? undefined : fake.session;
    },
    execInspect: (id) => {
      if (id !== "x1") throw new NaruError("not_found", `No such exec instance: ${id}`);
      return {
        ID: id,
        Running: false,
        ExitCode: 3,
        ProcessConfig: {
          tty: fake.session.isTty,
          entrypoint: "sh",
          arguments: [],
          privileged: false,
        },
        OpenStdin: true,
        OpenStderr: true,
        OpenStdout: true,
        CanRemove: false,
        ContainerID: get("web").id,
        DetachKeys: "",
        Pid: 0,
      };
    },
    execResize: async (id, size) => note("execResize", id, size),
    execIds: () => ["x1"],
  };
  const image = { id: digest("1a"), sizeBytes: 100 } as ImageRecord;
  const isKnown = (name: string): boolean =>
    ["naru/hello", "naru/hello:latest", digest("1a")].includes(name);
  const getImage = (name: string): ImageRecord => {
    if (!isKnown(name)) throw new NaruError("not_found", `No such image: ${name}`);
    return image;
  };
  const volume: VolumeResponse = {
    CreatedAt: ZERO,
    Driver: "local",
    Labels: { a: "b" },
    Mountpoint: "/v/data",
    Name: "data",
    Options: null,
    Scope: "local",
  };
  const networks = [network("bridge", "n1"), network("host", "n2"), network("none", "n3")];
  const fake: FakeBackend = {
    calls,
    records,
    live,
    waiters,
    session: new EchoSession(),
    logLines: [],
    failure: undefined,
    containers,
    events: {
      publish: () => undefined,
      stream: ({ signal, sinceNs, untilNs }) => {
        calls.push(`events ${sinceNs} ${untilNs}`);
        return live.subscribe(signal);
      },
    },
    images: {
      find: (name) => (isKnown(name) ? image : undefined),
      get: getImage,
      list: (options) => {
        calls.push(`images ${JSON.stringify([...options.filters])} ${options.isAll}`);
        return [summary];
      },
      inspect: (name) => {
        getImage(name);
        return {
          Id: digest("1a"),
          Size: 100,
          Created: ZERO,
          RepoTags: [],
        } as unknown as ImageInspect;
      },
      history: (name) => {
        getImage(name);
        return [];
      },
      tag: (name, target) => {
        note("tag", name, target);
        return target;
      },
      remove: async (name, options) => {
        getImage(name);
        note("rmi", name, options);
        return [{ Untagged: name }];
      },
      prune: async () => ({ ImagesDeleted: null, SpaceReclaimed: 0 }),
      usage: () => ({ layersBytes: 100, images: [{ summary, sharedBytes: 1, uniqueBytes: 99 }] }),
      load: async (source, options) => {
        let size = 0;
        if (Symbol.asyncIterator in source) for await (const part of source) size += part.length;
        note("load", size);
        options.onEvent?.({ kind: "progress", id: "abc", current: 5, total: 10 });
        options.onEvent?.({
          kind: "loaded",
          imageId: digest("1a"),
          reference: "naru/hello:latest",
        });
        return [digest("1a")];
      },
      save: async (names) => {
        note("save", ...names);
        names.forEach(getImage);
        return {
          sizeBytes: 3,
          segments: [],
          stream: () => bytesOf("image tar"),
          [Symbol.dispose]: () => void calls.push("save disposed"),
        };
      },
      import: async (source, { signal: _, ...options }) => {
        let size = 0;
        if (Symbol.asyncIterator in source) for await (const part of source) size += part.length;
        note("import", size, options);
        return digest("ab");
      },
      hello: () =>
        messages(
          { status: "Pulling from naru/hello", id: "latest" },
          { status: "Status: Image is up to date for naru/hello:latest" },
        ),
      bootstrap: (reference, mirror) => {
        calls.push(`bootstrap ${reference} ${mirror}`);
        return (async function* () {
          yield { status: "Downloading", id: "base", progressDetail: { current: 1, total: 2 } };
          throw new NaruError("unavailable", "mirror is down");
        })();
      },
    },
    networks: {
      list: () => networks,
      get: (name) => {
        const found = networks.find((n) => n.Name === name || n.Id.startsWith(name));
        if (found === undefined) throw new NaruError("not_found", `network ${name} not found`);
        return found;
      },
    },
    volumes: {
      list: () => [volume],
      get: (name) => {
        if (name !== "data") throw new NaruError("not_found", `get ${name}: no such volume`);
        return volume;
      },
      create: async (request) => {
        note("volume create", request);
        return volume;
      },
      remove: async (name, options) => note("volume remove", name, options),
      prune: async (filters) => {
        note("volume prune", [...filters]);
        return { VolumesDeleted: [], SpaceReclaimed: 0 };
      },
      usedNames: () => new Set(["data"]),
      usage: async () => [{ ...volume, UsageData: { Size: 1, RefCount: 1 } }],
    },
    system: {
      driver: "overlayfs",
      version: () => ({ Version: "28.5.2" }) as never,
      facts: () => facts,
      buildCache: () => [],
      containerFiles: ({ id }) => ({
        resolvConf: `/c/${id}/resolv.conf`,
        hostname: `/c/${id}/hostname`,
        hosts: `/c/${id}/hosts`,
      }),
    },
    logger: silentLogger,
  };
  return fake;
};
