/**
 * What is happening, on standard error: one line for each subject, rewritten in place on a
 * terminal; a line for each change elsewhere.
 */
import type { Output } from "#cli/output.ts";
import { terminalSize } from "#cli/terminal/stdin.ts";
import type { ProgressEvent } from "#compose/compose.ts";

export type ScreenMode = "tty" | "plain" | "json" | "quiet";

const SIGN: Readonly<Record<ProgressEvent["phase"], string>> = {
  begin: "⠿",
  done: "✔",
  skip: "-",
  fail: "✘",
};

const COLOR: Readonly<Record<ProgressEvent["phase"], number>> = {
  begin: 33,
  done: 32,
  skip: 33,
  fail: 31,
};

const paint = (code: number, text: string): string => `\u001B[${String(code)}m${text}\u001B[0m`;

interface Row {
  readonly event: ProgressEvent;
  readonly beganMs: number;
}

interface Size {
  readonly rows: number;
  readonly columns: number;
}

/** Terminals that do not know their size say 0. */
const sizeOrUsual = async (): Promise<Size> => {
  const size = await terminalSize();
  return size === undefined || size.rows === 0 || size.columns === 0
    ? { rows: 24, columns: 80 }
    : size;
};

export class Screen {
  readonly #output: Output;
  readonly #mode: ScreenMode;
  readonly #rows = new Map<string, Row>();
  #drawn = 0;
  #queue: Promise<void> = Promise.resolve();
  #isDirty = false;
  #size: Promise<Size> | undefined;

  constructor(output: Output, mode: ScreenMode) {
    this.#output = output;
    this.#mode = mode;
  }

  show(event: ProgressEvent): void {
    if (this.#mode === "quiet") return;
    const beganMs = this.#rows.get(event.subject)?.beganMs ?? performance.now();
    this.#rows.set(event.subject, { event, beganMs });
    if (this.#mode !== "tty") this.#writeLine(event);
    else if (!this.#isDirty) {
      this.#isDirty = true;
      this.#queue = this.#queue.then(() => this.#draw());
    }
  }

  #writeLine(event: ProgressEvent): void {
    const { subject, status, detail, phase } = event;
    // Shares of a download come by the thousand: for terminals only.
    if (detail !== undefined && phase === "begin") return;
    const more = detail === undefined || phase === "begin" ? "" : `: ${detail}`;
    const line =
      this.#mode === "json"
        ? JSON.stringify({
            id: subject,
            status,
            phase,
            ...(detail === undefined ? {} : { detail }),
          })
        : ` ${subject}  ${status}${more}`;
    this.#queue = this.#queue.then(() => this.#output.write("stderr", `${line}\n`));
  }

  async #draw(): Promise<void> {
    this.#isDirty = false;
    const { rows: height, columns } = await (this.#size ??= sizeOrUsual());
    // What does not fit cannot be rewritten in place: the last ones are shown.
    const rows = [...this.#rows].slice(-Math.max(1, height - 2));
    const width = Math.max(...rows.map(([subject]) => subject.length));
    const lines = rows.map(([subject, { event, beganMs }]) => {
      const { phase, status, detail } = event;
      const seconds = ((performance.now() - beganMs) / 1000).toFixed(1);
      const more = detail === undefined ? "" : ` ${detail.split("\n")[0] ?? ""}`;
      const text = `${subject.padEnd(width)}  ${status.padEnd(10)} ${seconds.padStart(5)}s${more}`;
      const shown = text.slice(0, Math.max(10, columns - 4));
      return `\u001B[2K ${paint(COLOR[phase], SIGN[phase])} ${paint(COLOR[phase], shown)}\n`;
    });
    const up = this.#drawn === 0 ? "" : `\u001B[${String(this.#drawn)}A`;
    this.#drawn = lines.length;
    await this.#output.write("stderr", up + lines.join(""));
  }

  /** Resolves when all is written; what comes later begins below. */
  async finish(): Promise<void> {
    await this.#queue;
    this.#drawn = 0;
    this.#rows.clear();
  }
}
