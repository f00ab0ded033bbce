/**
 * A child process that moves one blob after the other between a registry and files: network, hashes,
 * compression, so that none of it is on the daemon's thread. See fetch-protocol.ts.
 */
import { rmSync, writeSync } from "node:fs";
import type { PullResult, PullTask, TransferLine, TransferTask } from "#image/fetch-protocol.ts";
import { StreamStage } from "#image/fetch-stage.ts";
import { monotonicMs } from "#lib/clock.ts";
import { toNaruError } from "#lib/errors.ts";
import type { InflateKernel } from "#kernel/inflate.ts";
import type { FileKernel, SocketKernel } from "#kernel/kernel.ts";
import { createRemote } from "#remote/client.ts";
import { downloadBlob } from "#remote/download.ts";
import { diskError } from "#snapshot/disk-error.ts";
import { parseReference } from "#spec/image/reference.ts";

export interface FetchWorkerOptions {
  readonly kernel: FileKernel & SocketKernel & InflateKernel;
  /** Starts the image worker; the verb follows. */
  readonly command: readonly string[];
}

const STDOUT = 1;
const PROGRESS_EVERY_MS = 100;

const say = (line: TransferLine): void => {
  const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
  for (let at = 0; at < bytes.length;) at += writeSync(STDOUT, bytes, at, bytes.length - at);
};

type Phase = Extract<TransferLine, { kind: "progress" }>["phase"];

export const progressTeller = (phase: Phase, total: number): ((current: number) => void) => {
  let lastMs = Number.NEGATIVE_INFINITY;
  return (current) => {
    const nowMs = monotonicMs();
    if (nowMs - lastMs < PROGRESS_EVERY_MS && current < total) return;
    lastMs = nowMs;
    say({ kind: "progress", phase, current, total });
  };
};

const pull = async (options: FetchWorkerOptions, task: PullTask): Promise<PullResult> => {
  const { blob, partial, stage: wanted, config } = task;
  const remote = createRemote(config, task.state);
  const repository = remote.repository(parseReference(task.reference), task.credentials);
  const tellExtract = progressTeller("extract", blob.size);
  let isDownloaded = false;
  let extracted = 0;
  const makeStage = (): StreamStage | undefined =>
    wanted === undefined
      ? undefined
      : new StreamStage({
          ...options,
          ...wanted,
          file: partial,
          sizeBytes: blob.size,
          mediaType: blob.mediaType,
          onProgress: (bytes) => {
            extracted = bytes;
            if (isDownloaded) tellExtract(bytes);
          },
        });
  let stage = makeStage();
  try {
    const tell = progressTeller("download", blob.size);
    await downloadBlob({
      repository,
      blob,
      file: partial,
      maxAttempts: config.maxAttempts,
      signal: new AbortController().signal, // The daemon ends the process instead.
      onProgress: (bytes) => {
        stage?.grow(bytes);
        tell(bytes);
      },
    });
    isDownloaded = true;
    say({ kind: "verified" });
    if (wanted === undefined || stage === undefined) return {};
    tellExtract(extracted);
    const staged = await stage.finish();
    if (staged !== undefined) return { staged };
    await stage.stopped();
    rmSync(wanted.directory, { recursive: true, force: true });
    stage = makeStage();
    stage?.grow(blob.size);
    const again = await stage?.finish();
    return again === undefined ? {} : { staged: again };
  } finally {
    stage?.stop();
  }
};

const runTask = async (options: FetchWorkerOptions, task: TransferTask): Promise<void> => {
  try {
    if (task.kind === "pull") {
      say({ kind: "result", result: await pull(options, task) });
      return;
    }
    const { pushBlob } = await import("#image/push-worker.ts");
    const onProgress = progressTeller("upload", task.sizeBytes);
    say({ kind: "result", result: await pushBlob(task, onProgress) });
  } catch (thrown) {
    const { code, message, details } = toNaruError(diskError(thrown));
    say({ kind: "error", code, message, details });
  }
};

/** Serves tasks until stdin ends; then the process ends at once, in the middle of anything. */
export const runFetchWorker = async (options: FetchWorkerOptions): Promise<never> => {
  // Modes are set as archives say; nothing else runs in this process.
  process.umask(0);
  const decoder = new TextDecoder();
  let rest = "";
  let tail = Promise.resolve();
  for await (const chunk of Bun.stdin.stream()) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      tail = tail.then(() => runTask(options, JSON.parse(line) as TransferTask));
    }
  }
  process.exit(0);
};
