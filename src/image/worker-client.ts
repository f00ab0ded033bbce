/** The daemon's side of the image worker: starts it, feeds it, listens to it, ends it. */
import type { ArchiveSource } from "#image/image.ts";
import { FOLLOW } from "#image/worker-protocol.ts";
import type { WorkerLine, WorkerResults, WorkerTasks, WorkerVerb } from "#image/worker-protocol.ts";
import { NaruError } from "#lib/errors.ts";

type Progress = Extract<WorkerLine, { kind: "progress" }>;

export interface WorkerOptions {
  readonly command: readonly string[];
  readonly source: ArchiveSource;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

type Child = Bun.Subprocess<"pipe" | "ignore", "pipe", "pipe">;

/** Ends quietly when the child closed its end: then the child says why. */
const feed = async (child: Child, source: AsyncIterable<Uint8Array>): Promise<void> => {
  const { stdin } = child;
  if (stdin === undefined) return;
  try {
    for await (const chunk of source) {
      if (child.exitCode !== null) return;
      await stdin.write(chunk);
      await stdin.flush();
    }
  } finally {
    try {
      await stdin.end();
    } catch {
      // EPIPE: the child is gone already, its own error line says why.
    }
  }
};

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<WorkerLine, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    for (const line of parts) yield JSON.parse(line) as WorkerLine;
  }
}

const listen = async (
  child: Child,
  onProgress: WorkerOptions["onProgress"],
): Promise<{ result: unknown }> => {
  let answer: { result: unknown } | undefined;
  for await (const line of linesOf(child.stdout)) {
    switch (line.kind) {
      case "progress":
        onProgress?.(line);
        break;
      case "result":
        answer = { result: line.result };
        break;
      case "error":
        throw new NaruError(line.code, line.message);
    }
  }
  if (answer !== undefined) return answer;
  const complaint = (await child.stderr.text()).trim().slice(-2000);
  const end = (await child.exited) > 128 ? "was killed" : "ended without an answer";
  throw new NaruError("internal", `the image worker ${end}: ${complaint || "no message"}`);
};

/** Runs one task. The child is gone when this settles, whatever happened. */
export const runWorker = async <V extends WorkerVerb>(
  verb: V,
  task: Omit<WorkerTasks[V], "path" | "followerCommand">,
  options: WorkerOptions,
): Promise<WorkerResults[V]> => {
  const { source, signal } = options;
  signal.throwIfAborted();
  const input = "path" in source ? { path: source.path } : {};
  const followerCommand = [...options.command, FOLLOW];
  const argv = [...options.command, verb, JSON.stringify({ ...task, ...input, followerCommand })];
  const child: Child = Bun.spawn(argv, {
    stdin: "path" in source ? "ignore" : "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  const kill = (): void => child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  try {
    const feeding = "path" in source ? Promise.resolve() : feed(child, source);
    // Awaited below; a client that breaks off must not count as unhandled until then.
    feeding.catch(kill);
    const answer = await listen(child, options.onProgress).catch(async (error: unknown) => {
      signal.throwIfAborted();
      // A source that failed is the reason for whatever the worker then said.
      if (child.killed) await feeding;
      throw error;
    });
    await feeding;
    return answer.result as WorkerResults[V];
  } finally {
    signal.removeEventListener("abort", kill);
    kill();
    await child.exited;
  }
};
