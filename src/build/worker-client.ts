/** The daemon's side of the build worker: starts it, feeds it, ends it. */
import {
  type BuildJob,
  type BuildJobResults,
  type BuildWorkerAnswer,
  JOB_FOLLOWS,
} from "#build/worker-protocol.ts";
import { NaruError } from "#lib/errors.ts";

interface Options {
  readonly stdin?: AsyncIterable<Uint8Array>;
  /** The child has it as descriptor 3; this one stays the caller's. */
  readonly handed?: number;
  readonly signal: AbortSignal;
}

/** Written at once: many small writes cost more than what they carry, a wake-up of the child each. */
const WRITE_BYTES = 256 * 1024;

type Child = Bun.Subprocess<"pipe" | "ignore", "pipe", "pipe">;

/** Ends quietly when the child closed its end: then the child says why. */
const feed = async (child: Child, source: AsyncIterable<Uint8Array>): Promise<void> => {
  const { stdin } = child;
  if (stdin === undefined) return;
  const buffer = Buffer.allocUnsafeSlow(WRITE_BYTES);
  let filled = 0;
  const write = async (): Promise<void> => {
    await stdin.write(buffer.subarray(0, filled));
    await stdin.flush();
    filled = 0;
  };
  try {
    for await (const chunk of source) {
      for (let at = 0; at < chunk.length;) {
        if (child.exitCode !== null) return;
        const part = chunk.subarray(at, at + buffer.length - filled);
        buffer.set(part, filled);
        filled += part.length;
        at += part.length;
        if (filled === buffer.length) await write();
      }
    }
    if (filled > 0) await write();
  } catch (error) {
    // The child ended before it had all: its own answer says why.
    if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
  } finally {
    try {
      await stdin.end();
    } catch {
      // EPIPE: the child is gone already, its own answer says why.
    }
  }
};

const answerOf = (text: string, complaint: string): BuildWorkerAnswer => {
  try {
    return JSON.parse(text.trimEnd().split("\n").at(-1) ?? "") as BuildWorkerAnswer;
  } catch (cause) {
    throw new NaruError(
      "internal",
      `the build worker ended without an answer: ${complaint.trim().slice(-2000) || "no message"}`,
      { cause },
    );
  }
};

/** Runs one job. The child is gone when this settles, whatever happened. */
export const runBuildWorker = async <J extends BuildJob>(
  command: readonly string[],
  job: J,
  { stdin, handed, signal }: Options,
): Promise<BuildJobResults[J["verb"]]> => {
  signal.throwIfAborted();
  const input = stdin === undefined ? "ignore" : "pipe";
  const child = spawn([...command, JSON.stringify(job)], input, handed);
  return await outcome<J>(child, stdin, signal);
};

/** A child that was started before its job is known. */
export interface WaitingWorker {
  /** Once. The child is gone when this settles, whatever happened. */
  run<J extends BuildJob>(job: J, signal: AbortSignal): Promise<BuildJobResults[J["verb"]]>;
  /** There is no job for it. */
  end(): void;
}

/** It has `handed` as descriptor 3; this one stays the caller's. */
export const startBuildWorker = (command: readonly string[], handed: number): WaitingWorker => {
  const child = spawn([...command, JOB_FOLLOWS], "pipe", handed);
  const only = async function* (job: BuildJob): AsyncGenerator<Uint8Array, void> {
    yield Buffer.from(JSON.stringify(job));
  };
  return {
    run: async <J extends BuildJob>(job: J, signal: AbortSignal) =>
      await outcome<J>(child, only(job), signal),
    end: () => child.kill("SIGKILL"),
  };
};

const spawn = (argv: string[], stdin: "pipe" | "ignore", handed: number | undefined): Child =>
  Bun.spawn(argv, { stdio: [stdin, "pipe", "pipe", ...(handed === undefined ? [] : [handed])] });

const outcome = async <J extends BuildJob>(
  child: Child,
  stdin: AsyncIterable<Uint8Array> | undefined,
  signal: AbortSignal,
): Promise<BuildJobResults[J["verb"]]> => {
  const kill = (): void => child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  if (signal.aborted) kill();
  let feedError: unknown;
  try {
    const feeding = (stdin === undefined ? Promise.resolve() : feed(child, stdin)).catch(
      (error: unknown) => {
        feedError = error;
        kill();
      },
    );
    const [text, complaint] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    await feeding;
    signal.throwIfAborted();
    // A source that failed is the reason for whatever the child then said.
    if (feedError !== undefined) throw feedError;
    const answer = answerOf(text, complaint);
    if ("error" in answer) throw new NaruError(answer.error.code, answer.error.message);
    return answer.result as BuildJobResults[J["verb"]];
  } finally {
    signal.removeEventListener("abort", kill);
    kill();
    await child.exited;
  }
};
