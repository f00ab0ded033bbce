/**
 * Files from a client's session: the client walks its directory and describes each file, the engine asks for the
 * content of those it has not. The client is the sender of packets STAT, DATA and FIN; ours are REQ, FIN, ERR.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { ClientSession } from "#api/docker/buildkit/sessions.ts";
import type { BuildContext } from "#build/context.ts";
import type { ContextTree, FileFacts } from "#build/kept-context.ts";
import { FairTurn } from "#lib/fair-turn.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { type Stat, PacketSchema } from "#spec/buildkit/session.gen.ts";

export const PACKET_STAT = 0;
export const PACKET_REQ = 1;
export const PACKET_DATA = 2;
export const PACKET_FIN = 3;
export const PACKET_ERR = 4;

export const DIFF_COPY = "/moby.filesync.v1.FileSync/DiffCopy";

/** Bits of Go's os.FileMode, as they stand in a packet. */
export const GO_DIRECTORY = 2 ** 31;
export const GO_SYMLINK = 2 ** 27;
const GO_SETUID = 2 ** 23;
const GO_SETGID = 2 ** 22;
const GO_STICKY = 2 ** 20;
/** Directory, symlink, device, named pipe, socket, character device, irregular. */
const GO_KINDS = [GO_DIRECTORY, GO_SYMLINK, 2 ** 26, 2 ** 25, 2 ** 24, 2 ** 21, 2 ** 19];

const has = (mode: number, bit: number): boolean => Math.floor(mode / bit) % 2 === 1;

const kindOf = (stat: Stat): FileFacts["kind"] => {
  if (has(stat.mode, GO_DIRECTORY)) return "directory";
  if (has(stat.mode, GO_SYMLINK)) return "symlink";
  if (GO_KINDS.some((bit) => has(stat.mode, bit))) {
    const remedy =
      "a build context has only files, directories and links: name it in .dockerignore";
    throw new NaruError("invalid_argument", `"${stat.path}" is a device or a pipe: ${remedy}`);
  }
  return stat.linkname === "" ? "file" : "hardlink";
};

/** Those that copies keep: the program's capabilities, and users' own. The others are the machine's business. */
const xattrsOf = ({ xattrs }: Stat): Record<string, string> =>
  Object.fromEntries(
    Object.entries(xattrs)
      .filter(([name]) => name === "security.capability" || name.startsWith("user."))
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => [name, Buffer.from(value).toString("base64")]),
  );

const factsOf = (stat: Stat): FileFacts => {
  const special =
    (has(stat.mode, GO_SETUID) ? 0o4000 : 0) |
    (has(stat.mode, GO_SETGID) ? 0o2000 : 0) |
    (has(stat.mode, GO_STICKY) ? 0o1000 : 0);
  return {
    path: stat.path,
    kind: kindOf(stat),
    mode: (stat.mode & 0o777) | special,
    uid: stat.uid,
    gid: stat.gid,
    sizeBytes: Number(stat.size),
    modifiedNs: String(stat.modTime),
    link: stat.linkname,
    xattrs: xattrsOf(stat),
  };
};

export interface SyncRequest {
  /** "context", "dockerfile", or a named context's. */
  readonly directory: string;
  /** Only what one of them names; none = all. */
  readonly includePatterns?: readonly string[];
  readonly excludePatterns: readonly string[];
  /** Only these, with what they link to; none = all. */
  readonly followPaths: readonly string[];
  /** Bytes of content so far. */
  readonly onProgress: (bytes: number) => void;
  readonly signal: AbortSignal;
}

// oxlint-disable-next-line no-control-regex
const isAscii = (text: string): boolean => /^[\x20-\x7e]*$/.test(text);

/** Header values are ASCII; others are escaped as in a query, and said to be. */
const encoded = (name: string, values: readonly string[]): Record<string, string | string[]> => {
  if (values.length === 0) return {};
  if (values.every(isAscii)) return { [name]: [...values] };
  const escaped = values.map((value) => encodeURIComponent(value).replaceAll("%20", "+"));
  return { [name]: escaped, [`${name}-encoded`]: "1" };
};

/** REQs wait here: the client may not take them while it waits for us to take its DATA. */
class Outbox {
  readonly #send: (message: Uint8Array) => Promise<void>;
  #tail: Promise<void> = Promise.resolve();
  failure: unknown;

  constructor(send: (message: Uint8Array) => Promise<void>) {
    this.#send = send;
  }

  put(packet: { type: number; id?: number; data?: Uint8Array }): void {
    const message = toBinary(PacketSchema, create(PacketSchema, packet));
    this.#tail = this.#tail
      .then(() => this.#send(message))
      .catch((error: unknown) => {
        this.failure ??= error;
      });
  }

  async settled(): Promise<void> {
    await this.#tail;
    if (this.failure !== undefined) throw this.failure;
  }
}

class Receiver {
  readonly #tree: ContextTree;
  readonly #outbox: Outbox;
  readonly #onProgress: (bytes: number) => void;
  /** Paths of the files asked for, by id. */
  readonly #wanted = new Map<number, string>();
  #next = 0;
  #bytes = 0;
  #isListed = false;
  isFinished = false;

  constructor(tree: ContextTree, outbox: Outbox, onProgress: (bytes: number) => void) {
    this.#tree = tree;
    this.#outbox = outbox;
    this.#onProgress = onProgress;
  }

  take(message: Uint8Array): void {
    const packet = fromBinary(PacketSchema, message);
    switch (packet.type) {
      case PACKET_STAT:
        if (packet.stat === undefined) this.#isListed = true;
        else this.#stat(packet.stat);
        this.#finishWhenDone();
        return;
      case PACKET_DATA:
        this.#data(packet.id, packet.data);
        return;
      case PACKET_FIN:
        this.isFinished = true;
        return;
      case PACKET_ERR:
        throw new NaruError(
          "invalid_argument",
          `error from sender: ${Buffer.from(packet.data).toString("utf8")}`,
        );
      default:
        throw new NaruError("invalid_argument", `packet type ${packet.type} is not known`);
    }
  }

  #stat(stat: Stat): void {
    const id = this.#next;
    this.#next += 1;
    const facts = factsOf(stat);
    if (!this.#tree.take(facts)) return;
    this.#wanted.set(id, facts.path);
    this.#outbox.put({ type: PACKET_REQ, id });
  }

  #data(id: number, bytes: Uint8Array): void {
    const path = this.#wanted.get(id);
    if (path === undefined) {
      throw new NaruError("invalid_argument", `data came for file ${id}, which was not asked for`);
    }
    if (bytes.length > 0) {
      this.#tree.write(path, bytes);
      this.#bytes += bytes.length;
      this.#onProgress(this.#bytes);
      return;
    }
    this.#tree.close(path);
    this.#wanted.delete(id);
    this.#finishWhenDone();
  }

  #finishWhenDone(): void {
    if (this.#isListed && this.#wanted.size === 0) this.#outbox.put({ type: PACKET_FIN });
  }
}

/**
 * Brings `tree` up to date with the client's directory. Takes the tree over: the context is the caller's, and
 * on failure the tree is abandoned.
 */
export const syncFiles = async (
  session: ClientSession,
  tree: ContextTree,
  request: SyncRequest,
): Promise<BuildContext> => {
  using undo = new DisposableStack();
  undo.defer(() => tree.abandon());
  const stream = session.client.stream(
    DIFF_COPY,
    {
      ...encoded("dir-name", [request.directory]),
      ...encoded("followpaths", request.followPaths),
      ...encoded("include-patterns", request.includePatterns ?? []),
      ...encoded("exclude-patterns", request.excludePatterns),
    },
    request.signal,
  );
  // Messages come faster than anybody else would get a turn.
  const turn = new FairTurn();
  const outbox = new Outbox((message) => stream.send(message));
  const receiver = new Receiver(tree, outbox, request.onProgress);
  try {
    for await (const message of stream.messages) {
      receiver.take(message);
      if (receiver.isFinished) stream.end();
      if (turn.isOver) await turn.yield();
    }
    await outbox.settled();
  } catch (error) {
    // After its FIN the client has said everything: how the call ends then decides nothing.
    if (!receiver.isFinished || request.signal.aborted) {
      outbox.put({ type: PACKET_ERR, data: Buffer.from(toNaruError(error).message) });
      stream.cancel();
      throw error;
    }
  }
  if (!receiver.isFinished) {
    throw new NaruError("unavailable", `the client broke off sending "${request.directory}"`);
  }
  const context = await tree.finish();
  undo.move();
  return context;
};
