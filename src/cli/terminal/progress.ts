/** Progress of pull, push, load, import: bars on a terminal, a line for each change otherwise. */
import { progressMessages } from "#client/progress.ts";
import type { ProgressMessage } from "#client/progress.ts";
import type { Output, OutputStream } from "#cli/output.ts";
import { humanSize } from "#cli/format/units.ts";

const BAR_WIDTH = 50;

/** "[=====>     ]  1.2MB/3MB" */
export const formatProgress = (message: ProgressMessage): string => {
  const { current = 0, total = 0 } = message.progressDetail ?? {};
  if (current <= 0 && total <= 0) return message.progress ?? "";
  if (total <= 0) return humanSize(current);
  const share = Math.min(1, current / total);
  const filled = Math.floor(share * BAR_WIDTH);
  const bar = `${"=".repeat(filled)}>`.padEnd(BAR_WIDTH).slice(0, BAR_WIDTH);
  return `[${bar}]  ${humanSize(current)}/${humanSize(total)}`;
};

const textOf = (message: ProgressMessage, withBar: boolean): string => {
  const id = message.id === undefined || message.id === "" ? "" : `${message.id}: `;
  const bar = withBar ? formatProgress(message) : "";
  return `${id}${message.status ?? ""}${bar === "" ? "" : ` ${bar}`}`;
};

/** Rewrites the line of each id in place. */
class BarScreen {
  readonly #output: Output;
  readonly #stream: OutputStream;
  readonly #rows = new Map<string, number>();
  #height = 0;

  constructor(output: Output, stream: OutputStream) {
    this.#output = output;
    this.#stream = stream;
  }

  async show(message: ProgressMessage): Promise<void> {
    const { id } = message;
    if (id === undefined || id === "" || message.progressDetail === undefined) {
      this.#rows.clear();
      this.#height = 0;
      await this.#output.write(this.#stream, `${textOf(message, true)}\n`);
      return;
    }
    const known = this.#rows.get(id);
    if (known === undefined) {
      this.#rows.set(id, this.#height);
      this.#height += 1;
      await this.#output.write(this.#stream, `${textOf(message, true)}\n`);
      return;
    }
    const up = this.#height - known;
    await this.#output.write(
      this.#stream,
      `\u001B[${String(up)}A\u001B[2K\r${textOf(message, true)}\r\u001B[${String(up)}B`,
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
  const screen = new BarScreen(output, stream);
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
      const line = textOf(message, false);
      if (line !== previous) await output.write(stream, `${line}\n`);
      previous = line;
    }
  }
  return last.trim();
};
