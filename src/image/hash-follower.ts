/**
 * Hashing beside writing: the image worker writes a large blob, a second child reads it back from the
 * page cache, hashes it and brings it to the disk. So the two halves of the work run on two cores.
 *
 * Told by lines on stdin: `open <algorithm> <path>`, `upto <bytes>`, `close`; answers each `close`
 * with one line, the hex digest, when the blob is hashed and synced. Blobs come one after another.
 */
import { closeSync, fdatasync, fdatasyncSync, openSync, readSync } from "node:fs";
import { writeSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import type { SocketKernel } from "#kernel/kernel.ts";

const CHUNK_BYTES = 1024 * 1024;
/** The disk begins early, so that little is left to wait for at the end. */
const SYNC_EVERY_BYTES = 32 * 1024 * 1024;

interface Followed {
  readonly fd: number;
  readonly hasher: Bun.CryptoHasher;
  position: number;
  syncedAt: number;
  syncing: Promise<void> | undefined;
}

const open = (algorithm: string, path: string): Followed => ({
  fd: openSync(path, "r"),
  hasher: new Bun.CryptoHasher(algorithm === "sha512" ? "sha512" : "sha256"),
  position: 0,
  syncedAt: 0,
  syncing: undefined,
});

const follow = (blob: Followed, upTo: number, buffer: Uint8Array): void => {
  while (blob.position < upTo) {
    const want = Math.min(buffer.length, upTo - blob.position);
    const count = readSync(blob.fd, buffer, 0, want, blob.position);
    if (count === 0) throw new NaruError("data_loss", "the blob is shorter than it was said to be");
    blob.hasher.update(buffer.subarray(0, count));
    blob.position += count;
  }
  if (blob.position - blob.syncedAt < SYNC_EVERY_BYTES || blob.syncing !== undefined) return;
  blob.syncedAt = blob.position;
  blob.syncing = new Promise((resolve) => {
    fdatasync(blob.fd, () => {
      blob.syncing = undefined; // A failure shows again at the last sync.
      resolve();
    });
  });
};

const close = async (blob: Followed): Promise<void> => {
  await blob.syncing;
  try {
    fdatasyncSync(blob.fd);
  } finally {
    closeSync(blob.fd);
  }
  writeSync(1, `${blob.hasher.digest("hex")}\n`);
};

/** The child's program. Ends when stdin does. */
export const runHashFollower = async (): Promise<void> => {
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  const decoder = new TextDecoder();
  let blob: Followed | undefined;
  let rest = "";
  for await (const chunk of Bun.stdin.stream()) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const [word = "", first = "", ...path] = line.split(" ");
      if (word === "open") blob = open(first, path.join(" "));
      else if (blob === undefined) continue;
      else if (word === "upto") follow(blob, Number(first), buffer);
      else await close(blob);
    }
  }
};

/** The writer's side. Every call blocks at most for a moment, except `digest`. */
export class HashFollower implements Disposable {
  readonly #toChild: number;
  readonly #fromChild: number;
  readonly #child: Bun.Subprocess;
  #answers = "";

  /** `command` starts `runHashFollower`. */
  constructor(command: readonly string[], kernel: SocketKernel) {
    const down = kernel.pipe();
    const up = kernel.pipe();
    try {
      this.#child = Bun.spawn([...command], {
        stdin: down.readFd,
        stdout: up.writeFd,
        stderr: "inherit",
      });
    } finally {
      closeSync(down.readFd);
      closeSync(up.writeFd);
    }
    this.#toChild = down.writeFd;
    this.#fromChild = up.readFd;
  }

  tell(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    for (let at = 0; at < bytes.length;) at += writeSync(this.#toChild, bytes, at);
  }

  /** The hex digest of the next blob in order of `close`. Waits for it. */
  digest(): string {
    const buffer = Buffer.alloc(256);
    while (!this.#answers.includes("\n")) {
      const count = readSync(this.#fromChild, buffer, 0, buffer.length, null);
      if (count === 0) throw new NaruError("internal", "the hashing process ended too early");
      this.#answers += buffer.toString("latin1", 0, count);
    }
    const end = this.#answers.indexOf("\n");
    const digest = this.#answers.slice(0, end);
    this.#answers = this.#answers.slice(end + 1);
    return digest;
  }

  [Symbol.dispose](): void {
    closeSync(this.#toChild);
    closeSync(this.#fromChild);
    this.#child.kill("SIGKILL");
  }
}
