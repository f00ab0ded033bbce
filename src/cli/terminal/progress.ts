/** Progress of pull, push, load, import: bars on a terminal, a line for each change otherwise. */
import { progressMessages } from "#client/progress.ts";
import type { ProgressMessage } from "#client/progress.ts";
import type { Output, OutputStream } from "#cli/output.ts";
import { humanSize } from "#cli/format/units.ts";
import { terminalSize } from "#cli/terminal/stdin.ts";
import { monotonicMs } from "#lib/clock.ts";

const BAR_MAX = 50;
/** Below this a bar says less than the numbers beside it. */
const BAR_MIN = 10;
const DEFAULT_COLUMNS = 80;
/** A speed over less than this is chance. */
const PACE_AFTER_MS = 1000;

const TRANSFERS = ["Downloading", "Pushing", "Extracting"];

/** "3.4MB/s 12s left" since the first count of a state; "" while it is too early to say. */
export class Pace {
  readonly #begun = new Map<string, { readonly atMs: number; readonly bytes: number }>();

  text(message: ProgressMessage, nowMs: number): string {
    const { id = "", status = "", progressDetail } = message;
    const { current = 0, total = 0 } = progressDetail ?? {};
    if (!TRANSFERS.includes(status) || total <= 0) return "";
    const key = `${id} ${status}`;
    const begun = this.#begun.get(key);
    // A transfer that begins anew is measured anew.
    if (begun === undefined || current < begun.bytes) {
      this.#begun.set(key, { atMs: nowMs, bytes: current });
      return "";
    }
    const elapsedMs = nowMs - begun.atMs;
    const bytes = current - begun.bytes;
    if (elapsedMs < PACE_AFTER_MS || bytes <= 0 || current >= total) return "";
    const perSecond = (bytes / elapsedMs) * 1000;
    const seconds = Math.ceil((total - current) / perSecond);
    const left = seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
    return `${humanSize(perSecond)}/s ${left} left`;
  }
}

/** "[=====>     ]  1.2MB/3MB", as wide as `columns` allows. */
export const formatProgress = (message: ProgressMessage, columns: number, pace = ""): string => {
  const { current = 0, total = 0 } = message.progressDetail ?? {};
  if (current <= 0 && total <= 0) return message.progress ?? "";
  if (total <= 0) return humanSize(current);
  const numbers = `${humanSize(current)}/${humanSize(total)}${pace === "" ? "" : ` ${pace}`}`;
  const width = Math.min(BAR_MAX, columns - numbers.length - 5);
  if (width < BAR_MIN) return numbers;
  const filled = Math.floor(Math.min(1, current / total) * width);
  const bar = `${"=".repeat(filled)}>`.padEnd(width).slice(0, width);
  return `[${bar}]  ${numbers}`;
};

const labelOf = (message: ProgressMessage): string => {
  const id = message.id === undefined || message.id === "" ? "" : `${message.id}: `;
  return `${id}${message.status ?? ""}`;
};

/** Rewrites the line of each id in place. */
class BarScreen {
  readonly #output: Output;
  readonly #stream: OutputStream;
  readonly #columns: number;
  readonly #pace = new Pace();
  readonly #rows = new Map<string, number>();
  #height = 0;

  constructor(output: Output, stream: OutputStream, columns: number) {
    this.#output = output;
    this.#stream = stream;
    this.#columns = columns;
  }

  #text(message: ProgressMessage): string {
    const label = labelOf(message);
    const pace = this.#pace.text(message, monotonicMs());
    const bar = formatProgress(message, this.#columns - label.length - 1, pace);
    return bar === "" ? label : `${label} ${bar}`;
  }

  async show(message: ProgressMessage): Promise<void> {
    const { id } = message;
    const text = this.#text(message);
    if (id === undefined || id === "" || message.progressDetail === undefined) {
      this.#rows.clear();
      this.#height = 0;
      await this.#output.write(this.#stream, `${text}\n`);
      return;
    }
    const known = this.#rows.get(id);
    if (known === undefined) {
      this.#rows.set(id, this.#height);
      this.#height += 1;
      await this.#output.write(this.#stream, `${text}\n`);
      return;
    }
    const up = this.#height - known;
    await this.#output.write(
      this.#stream,
      `\u001B[${String(up)}A\u001B[2K\r${text}\r\u001B[${String(up)}B`,
    );
  }
}

export interface ProgressOptions {
  readonly output: Output;
  readonly stream: OutputStream;
  readonly isQuiet?: boolean;
  /** Values the engine sends beside the progress. */
  readonly onAux?: (value: unknown) => void;
}

/** Reads to the end; throws the error that the stream carries. Resolves to the last status. */
export const showProgress = async (
  body: AsyncIterable<Uint8Array>,
  options: ProgressOptions,
): Promise<string> => {
  const { output, stream } = options;
  const isTerminal = options.isQuiet !== true && (await output.isTerminal(stream));
  const columns = isTerminal ? (await terminalSize())?.columns : undefined;
  const screen = new BarScreen(output, stream, columns ?? DEFAULT_COLUMNS);
  let last = "";
  let previous = "";
  for await (const message of progressMessages(body)) {
    if (message.aux !== undefined) options.onAux?.(message.aux);
    last = message.status ?? message.stream ?? last;
    if (options.isQuiet === true || (message.status === undefined && message.stream === undefined))
      continue;
    if (message.stream !== undefined) {
      await output.write(stream, message.stream);
    } else if (isTerminal) {
      await screen.show(message);
    } else if ((message.progressDetail?.current ?? 0) <= 0 || message.id === undefined) {
      const line = labelOf(message);
      if (line !== previous) await output.write(stream, `${line}\n`);
      previous = line;
    }
  }
  return last.trim();
};
