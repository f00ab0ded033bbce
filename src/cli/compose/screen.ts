/**
 * What is happening, on standard error: one line for each subject, rewritten in place on a
 * terminal; a line for each change elsewhere.
 */
import type { Output } from "#cli/output.ts";
import { terminalSize } from "#cli/terminal/stdin.ts";
import type { ProgressEvent } from "#compose/compose.ts";

export type ScreenMode = "tty" | "plain" | "json" | "quiet";

const SIGN: Readonly<Record<Exclude<ProgressEvent["phase"], "begin">, string>> = {
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
  /** Undefined while it goes on. */
  readonly endedMs: number | undefined;
}

/** Shown in turn while something goes on. */
const TURNS = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";
const TURN_MS = 100;

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
  #ticker: ReturnType<typeof setInterval> | undefined;

  constructor(output: Output, mode: ScreenMode) {
    this.#output = output;
    this.#mode = mode;
  }

  show(event: ProgressEvent): void {
    if (this.#mode === "quiet") return;
    const nowMs = performance.now();
    const beganMs = this.#rows.get(event.subject)?.beganMs ?? nowMs;
    const endedMs = event.phase === "begin" ? undefined : nowMs;
    this.#rows.set(event.subject, { event, beganMs, endedMs });
    if (this.#mode === "tty") this.#redraw();
    else this.#writeLine(event);
  }

  #redraw(): void {
    if (this.#isDirty) return;
    this.#isDirty = true;
    this.#queue = this.#queue.then(() => this.#draw());
    if (this.#ticker !== undefined) return;
    this.#ticker = setInterval(() => {
      const isGoingOn = [...this.#rows.values()].some(({ endedMs }) => endedMs === undefined);
      if (isGoingOn) this.#redraw();
    }, TURN_MS);
    this.#ticker.unref();
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
    const lines = rows.map(([subject, { event, beganMs, endedMs }]) => {
      const { phase, status, detail } = event;
      const nowMs = performance.now();
      const seconds = (((endedMs ?? nowMs) - beganMs) / 1000).toFixed(1);
      const turn = TURNS[Math.floor(nowMs / TURN_MS) % TURNS.length] ?? "";
      const sign = phase === "begin" ? turn : SIGN[phase];
      const more = detail === undefined ? "" : ` ${detail.split("\n")[0] ?? ""}`;
      const text = `${subject.padEnd(width)}  ${status.padEnd(10)} ${seconds.padStart(5)}s${more}`;
      const shown = text.slice(0, Math.max(10, columns - 4));
      return `\u001B[2K ${paint(COLOR[phase], sign)} ${paint(COLOR[phase], shown)}\n`;
    });
    const up = this.#drawn === 0 ? "" : `\u001B[${String(this.#drawn)}A`;
    this.#drawn = lines.length;
    await this.#output.write("stderr", up + lines.join(""));
  }

  /** Resolves when all is written; what comes later begins below. */
  async finish(): Promise<void> {
    clearInterval(this.#ticker);
    this.#ticker = undefined;
    await this.#queue;
    this.#drawn = 0;
    this.#rows.clear();
  }
}
