/**
 * The build worker: a child process of the daemon's own binary for large contexts and copies. One job as
 * a JSON argument; the answer is one JSON line on stdout.
 */
import { readFileSync, writeSync } from "node:fs";
import { unpackContext } from "#build/context.ts";
import { type CopyPlan, runCopyPlan } from "#build/op/copy-tree.ts";
import type { BuildJob, BuildWorkerAnswer } from "#build/worker-protocol.ts";
import { toNaruError } from "#lib/errors.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import { diskError } from "#snapshot/disk-error.ts";

const STDOUT = 1;

const say = (answer: BuildWorkerAnswer): void => {
  const bytes = Buffer.from(`${JSON.stringify(answer)}\n`);
  for (let at = 0; at < bytes.length;) at += writeSync(STDOUT, bytes, at, bytes.length - at);
};

const runJob = async (kernel: FileKernel, job: BuildJob): Promise<object> => {
  switch (job.verb) {
    case "receive":
      return { digests: [...(await unpackContext(kernel, job.root, Bun.stdin.stream()))] };
    case "copy":
      await runCopyPlan(kernel, JSON.parse(readFileSync(job.planFile, "utf8")) as CopyPlan);
      return {};
  }
};

/** Resolves to the process's exit status. Never throws. */
export const runBuildWorkerProcess = async (
  argv: readonly string[],
  kernel: FileKernel,
): Promise<number> => {
  // Modes are set as sources say; nothing else runs in this process.
  process.umask(0);
  try {
    say({ result: await runJob(kernel, JSON.parse(argv[0] ?? "") as BuildJob) });
    return 0;
  } catch (thrown) {
    const { code, message } = toNaruError(diskError(thrown));
    say({ error: { code, message } });
    return 1;
  }
};
