/**
 * This process's input and output joined to a container's: attach, run and exec. Raw mode, resize
 * and detach keys when there is a terminal; half-close when piped input ends.
 */
import type { Hijacked } from "#client/hijack.ts";
import type { CliContext } from "#cli/context.ts";
import { exitError } from "#cli/framework/errors.ts";
import { DetachFilter, parseDetachKeys } from "#cli/terminal/detach-keys.ts";
import { onResize } from "#cli/terminal/signals.ts";
import { isInputTerminal, pipedInput, rawInput, terminalSize } from "#cli/terminal/stdin.ts";
import { errorText } from "#cli/report.ts";
import { type NaruError, hasCode } from "#lib/errors.ts";

export interface AttachedOptions {
  readonly context: CliContext;
  readonly stream: Hijacked;
  /** The process has a terminal of its own. */
  readonly isTty: boolean;
  readonly hasInput: boolean;
  readonly detachKeys: string;
  /** Tells the engine the terminal's size. */
  readonly resize: (rows: number, columns: number) => Promise<void>;
  /** Joined in the middle: programs that draw do it again when the size changes. */
  readonly isJoinedLate?: boolean;
}

export type AttachedEnd = "ended" | "detached";

/** What was joined goes on without this one, and nobody here knows how it ends: docker's word and code for that. */
export const leftByKeys = (): NaruError => exitError(1, "read escape sequence");

const sendPiped = async (stream: Hijacked): Promise<void> => {
  for await (const chunk of pipedInput()) await stream.write(chunk);
  await stream.closeWrite();
};

/** Resolves when the detach keys were pressed; never otherwise. */
const sendKeys = async (
  stream: Hijacked,
  keys: AsyncIterable<Uint8Array>,
  filter: DetachFilter,
): Promise<"detached"> => {
  for await (const chunk of keys) {
    const { bytes, isDetached } = filter.filter(chunk);
    if (bytes.length > 0) await stream.write(bytes);
    if (isDetached) return "detached";
  }
  await stream.closeWrite();
  return new Promise<never>(() => undefined);
};

const copyOutput = async ({ context, stream }: AttachedOptions): Promise<"ended"> => {
  for await (const { stream: name, bytes } of stream.output()) {
    await context.output.write(name === "stderr" ? "stderr" : "stdout", bytes);
  }
  return "ended";
};

/** A process that has ended no longer has a size; nothing is lost then. */
const followSize = (options: AttachedOptions): (() => void) => {
  let isFirst = options.isJoinedLate === true;
  const tell = async (): Promise<void> => {
    const size = await terminalSize();
    if (size === undefined) return;
    try {
      if (isFirst) await options.resize(size.rows + 1, size.columns);
      isFirst = false;
      await options.resize(size.rows, size.columns);
    } catch (error) {
      if (!hasCode(error, "not_found") && !hasCode(error, "conflict")) {
        options.context.output.error("cannot tell the container the terminal's size");
      }
    }
  };
  void tell();
  return onResize(() => void tell());
};

/** Starts sending the size; to be called once the process runs. */
export type SizeFollower = () => void;

/** Joins the streams; `onJoined` gets what starts following the terminal's size. */
export const joinStreams = async (
  options: AttachedOptions,
  onJoined: (follow: SizeFollower) => Promise<void>,
): Promise<AttachedEnd> => {
  await using stack = new AsyncDisposableStack();
  const output = copyOutput(options);
  // Read later; a failure before that must not count as unhandled.
  output.catch(() => undefined);
  const ends: Promise<AttachedEnd>[] = [output];
  if (options.hasInput) {
    if (options.isTty && (await isInputTerminal())) {
      const raw = await rawInput(true);
      stack.defer(() => raw.restore());
      const filter = new DetachFilter(parseDetachKeys(options.detachKeys));
      ends.push(sendKeys(options.stream, raw.keys, filter));
    } else {
      sendPiped(options.stream).catch((error: unknown) => {
        // The process may end without reading all of its input.
        if (!hasCode(error, "unavailable")) options.context.output.error(errorText(error));
      });
    }
  }
  await onJoined(() => {
    if (options.isTty) stack.defer(followSize(options));
  });
  const end = await Promise.race(ends);
  options.stream.close();
  return end;
};
