/**
 * Progress streams: one JSON object a line. Until the first line a failure still has a status of its
 * own; after it, it is told as a line.
 */
import type { ProgressMessage } from "#api/docker/backend.ts";
import { type Call } from "#api/docker/call.ts";
import { errorLine } from "#api/docker/errors.ts";
import type { AnswerStream } from "#api/http/exchange.ts";
import { hasCode } from "#lib/errors.ts";

const BAR_WIDTH = 50;
const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** "12.3MB", four digits at most, as Docker's bars have it. */
const sizeText = (bytes: number): string => {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${Number(value.toPrecision(4))}${UNITS[unit]}`;
};

/** The text form of a bar, for clients that print lines as they come. */
export const barText = (current: number, total: number): string => {
  const filled = Math.min(BAR_WIDTH, Math.trunc((current / total) * BAR_WIDTH));
  const bar =
    filled >= BAR_WIDTH
      ? `${"=".repeat(BAR_WIDTH)}>`
      : `${"=".repeat(filled)}>${" ".repeat(BAR_WIDTH - filled)}`;
  return `[${bar}] ${sizeText(current).padStart(8)}/${sizeText(total)}`;
};

export const progressLine = (message: ProgressMessage): string => {
  const { current, total } = message.progressDetail ?? {};
  const bar =
    message.progress === undefined && current !== undefined && total !== undefined && total > 0
      ? { progress: barText(current, total) }
      : {};
  return `${JSON.stringify({ ...message, ...bar })}\r\n`;
};

/** The stream of an answer, opened by its first line. */
export class ProgressStream {
  readonly #call: Call;
  #out: AnswerStream | undefined;

  constructor(call: Call) {
    this.#call = call;
  }

  async write(message: ProgressMessage): Promise<void> {
    this.#out ??= this.#call.stream("application/json");
    await this.#out.writeSoon(progressLine(message));
  }

  end(): void {
    this.#out ??= this.#call.stream("application/json");
    this.#out.end();
  }

  /** Before the first line the error is thrown on, to be answered with its status. */
  async fail(error: unknown, exitCode?: number): Promise<void> {
    if (this.#out === undefined) throw error;
    if (this.#call.signal.aborted || hasCode(error, "canceled")) return;
    await this.#out.write(errorLine(error, exitCode));
    this.#out.end();
  }
}

export const pumpProgress = async (
  call: Call,
  source: AsyncIterable<ProgressMessage>,
): Promise<void> => {
  const out = new ProgressStream(call);
  try {
    for await (const message of source) await out.write(message);
    out.end();
  } catch (error) {
    await out.fail(error);
  }
};
