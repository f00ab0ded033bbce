/**
 * The child process for what would keep the daemon's thread busy: `naru _worker snapshot JOB`, JOB
 * being a JSON argument (job.ts). stdin and stdout carry tar bytes where the job says so; the last line
 * on stderr is the result. Ends with 0 when there is a result, else 1.
 */
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { createKernel } from "#kernel/real.ts";
import { applyLayer, indexLayer } from "#snapshot/apply.ts";
import { packDiff } from "#snapshot/diff.ts";
import { diskError } from "#snapshot/disk-error.ts";
import { sumDiff } from "#snapshot/seal.ts";
import { sumBeside } from "#snapshot/sum-beside.ts";
import { exportTree } from "#snapshot/export.ts";
import { isGoodIndex } from "#snapshot/verify-index.ts";
import {
  type ApplyJob,
  type DiffJob,
  type ExportJob,
  type SnapshotJob,
  formatFailure,
  formatResult,
} from "#snapshot/job.ts";
import { sha256Digest } from "#spec/image/digest.ts";

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;

const writeAll = (fd: number, bytes: Uint8Array): void => {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(fd, bytes, done, bytes.length - done);
  }
};

/** Writes the chunks to the file (made new, gone again on failure) or to stdout. */
const writeTar = (
  file: string | undefined,
  chunks: Iterable<Uint8Array>,
  seen: (chunk: Uint8Array) => void,
): number => {
  const fd = file === undefined ? STDOUT : openSync(file, "wx", 0o600);
  let total = 0;
  try {
    for (const chunk of chunks) {
      seen(chunk);
      writeAll(fd, chunk);
      total += chunk.length;
    }
  } catch (error) {
    if (file !== undefined) rmSync(file, { force: true });
    throw error;
  } finally {
    if (file !== undefined) closeSync(fd);
  }
  return total;
};

const apply = (job: ApplyJob): Promise<object> => {
  const { kind: _kind, source: given, form, target, ...rest } = job;
  const kernel = createKernel();
  const source = given === "stdin" ? Bun.stdin.stream() : given;
  if (form === "erofs") return indexLayer({ ...rest, kernel, source, target });
  return applyLayer({ ...rest, kernel, source, target: `${target}/diff` });
};

const diff = (job: DiffJob): object => {
  const { upper, lower, hiddenPaths } = job;
  const input = { kernel: createKernel(), upper, lower, hiddenPaths };
  if (job.isSumOnly === true) return sumDiff(input);
  const hasher = new Bun.CryptoHasher("sha256");
  const totals = { sizeBytes: 0 };
  const chunks = packDiff(input, totals, "reused");
  const tarBytes = writeTar(job.file, chunks, (chunk) => hasher.update(chunk));
  return { diffId: sha256Digest(hasher.digest("hex")), tarBytes, sizeBytes: totals.sizeBytes };
};

const exportJob = (job: ExportJob): object => ({
  tarBytes: writeTar(job.file, exportTree(createKernel(), job.root), () => undefined),
});

const runJob = async (job: SnapshotJob): Promise<object> => {
  switch (job.kind) {
    case "apply":
      return await apply(job);
    case "diff":
      return diff(job);
    case "export":
      return exportJob(job);
    case "verify":
      return { isGood: isGoodIndex(job) };
    case "sum-beside": {
      const sum = sumBeside(createKernel(), job.upper, STDIN);
      return sum === undefined ? {} : { sum };
    }
  }
};

const readJob = (argv: readonly string[]): SnapshotJob => {
  try {
    return JSON.parse(argv[0] ?? "") as SnapshotJob;
  } catch (cause) {
    throw new NaruError("invalid_argument", "the snapshot worker takes one job as JSON", { cause });
  }
};

/** Runs one job; the value is the exit status. Never throws. */
export const runSnapshotWorker = async (argv: readonly string[]): Promise<number> => {
  // Modes are set as archives say; nothing else runs in this process.
  process.umask(0);
  try {
    const result = await runJob(readJob(argv));
    writeAll(STDERR, Buffer.from(formatResult(result)));
    return 0;
  } catch (error) {
    writeAll(STDERR, Buffer.from(formatFailure(toNaruError(diskError(error)))));
    return 1;
  }
};
