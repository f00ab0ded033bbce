/** A record and a process for the tests of this room. */
import type { ContainerRecord } from "#container/container.ts";
import type { LogLine, OutputChunk, StdioSession, WaitResult } from "#container/containers.ts";
import { Broadcaster } from "#lib/broadcaster.ts";
import type { NaruError } from "#lib/errors.ts";
import type { EventMessage } from "#spec/docker/event.ts";
import type { HostConfig } from "#spec/docker/host-config.ts";
import { type Digest, parseDigest } from "#spec/image/digest.ts";

export const ZERO = "0001-01-01T00:00:00Z";
export const digest = (seed: string): Digest => parseDigest(`sha256:${seed.padEnd(64, "0")}`);

const FAKE: ContainerRecord = {
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
    LogConfig: { Type: "json-file", Config: { labels: "app" } },
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
};

export const fakeRecord = (over: Partial<ContainerRecord> = {}): ContainerRecord => ({
  ...structuredClone(FAKE),
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

export const bytesOf = (text: string): ReadableStream<Uint8Array> =>
  new Response(text).body as ReadableStream<Uint8Array>;

/** What the fakes share and the tests look at. */
export class FakeState {
  /** "start web" and the like, in order. */
  readonly calls: string[] = [];
  readonly records: ContainerRecord[] = [fakeRecord()];
  readonly live = new Broadcaster<EventMessage>();
  readonly waiters: PromiseWithResolvers<WaitResult>[] = [];
  restartUnderway: Promise<void> | undefined;
  session = new EchoSession();
  logLines: LogLine[] = [];
  /** Thrown by the next verb. */
  failure: NaruError | undefined;

  note(name: string, ...rest: unknown[]): void {
    const words = rest.map((value) => (typeof value === "string" ? value : JSON.stringify(value)));
    this.calls.push([name, ...words].join(" "));
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
  }
}
