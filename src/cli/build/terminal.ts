/** A build on a terminal: finished steps scroll away above, one row for each running one below. */
import type { BuildMessage } from "#client/build-events.ts";
import { type BuildProgress, LineSplitter, StepNames, seconds } from "#cli/build/progress.ts";
import { humanSize } from "#cli/format/units.ts";
import type { Output } from "#cli/output.ts";

const REDRAW_MS = 100;
const TAIL_LINES = 12;
const SHOWN_LINES = 3;
const GREEN = "\u001B[32m";
const RED = "\u001B[31m";
const FAINT = "\u001B[2m";
const RESET = "\u001B[0m";

interface Running {
  readonly beganMs: number;
  readonly tail: string[];
  note: string;
  readonly splitters: Map<number, LineSplitter>;
}

/** Without what would move the cursor. */
const printable = (text: string): string =>
  // oxlint-disable-next-line no-control-regex -- these are the characters meant
  text.replaceAll(/\u001B\[[0-9;?]*[A-Za-z]/g, "").replaceAll(/[\u0000-\u0008\u000B-\u001F]/g, "");

export class TerminalProgress implements BuildProgress {
  readonly #output: Output;
  readonly #isExplained: boolean;
  readonly #names = new StepNames();
  readonly #running = new Map<number, Running>();
  readonly #beganMs = performance.now();
  /** Width of each row that is drawn. */
  #shown: readonly number[] = [];
  #context = "";
  #above: ((columns: number) => string)[] = [];
  #timer: Timer | undefined;
  #drawing: Promise<void> = Promise.resolve();

  constructor(output: Output, isExplained: boolean) {
    this.#output = output;
    this.#isExplained = isExplained;
    this.#timer = setInterval(() => void this.#draw(), REDRAW_MS);
  }

  sent(files: number, bytes: number): void {
    this.#context = `, context of ${files} ${files === 1 ? "file" : "files"}, ${humanSize(bytes)}`;
  }

  async take(message: BuildMessage): Promise<void> {
    switch (message.kind) {
      case "plan":
        this.#names.set(message.steps);
        return;
      case "start":
        this.#running.set(message.step, {
          beganMs: performance.now(),
          tail: [],
          note: "",
          splitters: new Map(),
        });
        return;
      case "run":
        if (this.#isExplained) this.#keep(`${FAINT}   not cached: ${message.why}${RESET}`);
        return;
      case "trigger":
        if (message.isCached === undefined) {
          this.#running.get(message.step)?.tail.push(printable(message.text));
        }
        return;
      case "output":
        return this.#takeOutput(message.step, message.stream, message.data);
      case "transfer": {
        const running = this.#running.get(message.step);
        if (running !== undefined) running.note = transferText(message.transfer);
        return;
      }
      case "done":
        return this.#done(message.step, message.isCached, message.durationMs);
      case "failed":
        return this.#failed(message.step);
      case "unused-args":
        return this.#keep(`warning: build args that no ARG names: ${message.names.join(", ")}`);
      case "cache":
        return this.#keep(message.text);
      case "platform":
      case "cache-data":
      case "output-data":
      case "wanted":
      case "result":
      case "error":
        return;
    }
  }

  async end(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#running.clear();
    await this.#drawing;
    await this.#paint(false);
  }

  #takeOutput(step: number, stream: number, data: string): void {
    const running = this.#running.get(step);
    if (running === undefined) return;
    let splitter = running.splitters.get(stream);
    if (splitter === undefined) {
      splitter = new LineSplitter();
      running.splitters.set(stream, splitter);
    }
    running.tail.push(...splitter.take(data).map(printable));
    running.tail.splice(0, running.tail.length - TAIL_LINES);
  }

  #done(step: number, isCached: boolean, durationMs: number): void {
    this.#running.delete(step);
    const how = isCached ? "cached" : seconds(durationMs);
    this.#above.push(
      (columns) => `${GREEN}✓${RESET} ${row(this.#names.text(step), how, columns - 2)}`,
    );
  }

  #failed(step: number): void {
    const running = this.#running.get(step);
    this.#running.delete(step);
    const text = this.#names.text(step);
    this.#above.push((columns) => `${RED}✗${RESET} ${row(text, "failed", columns - 2)}`);
    const rest = [...(running?.splitters.values() ?? [])].flatMap((splitter) => splitter.end());
    for (const line of [...(running?.tail ?? []), ...rest.map(printable)])
      this.#keep(`    ${line}`);
  }

  /** A line of which all is shown, in as many rows as it takes. */
  #keep(line: string): void {
    this.#above.push(() => line);
  }

  #draw(): Promise<void> {
    this.#drawing = this.#drawing.then(() => this.#paint(true)).catch(() => undefined);
    return this.#drawing;
  }

  #head(columns: number): string {
    const now = performance.now();
    const count = this.#running.size;
    const text = `building${count > 1 ? ` ${count} at once` : ""}${this.#context}`;
    return `${FAINT}${row(text, seconds(now - this.#beganMs), columns)}${RESET}`;
  }

  /** As many rows as there is room for: each running step first, then what they said last. */
  #lines(columns: number, height: number): string[] {
    const now = performance.now();
    const running = [...this.#running];
    const steps = running.slice(0, Math.max(1, height - 1));
    const hidden = running.length - steps.length;
    const room = Math.max(0, height - 1 - steps.length);
    const each = Math.min(SHOWN_LINES, Math.floor(room / Math.max(1, steps.length)));
    const lines = steps.flatMap(([step, { beganMs, tail, note, splitters }]) => {
      const said = [
        ...tail,
        ...[...splitters.values()].map((splitter) => printable(splitter.partial)),
      ]
        .filter((line) => line.trim() !== "")
        .slice(each === 0 ? tail.length + splitters.size : -each);
      return [
        `  ${row(`${this.#names.text(step)}${note === "" ? "" : ` ${note}`}`, seconds(now - beganMs), columns - 2)}`,
        ...said.map((line) => `${FAINT}    ${cut(line, columns - 4)}${RESET}`),
      ];
    });
    const more =
      hidden > 0 && lines.length > 0 ? [...lines.slice(0, -1), `  and ${hidden + 1} more`] : lines;
    return [this.#head(columns), ...more];
  }

  /** Finished lines stay; the rows below them are drawn anew. */
  async #paint(isRunning: boolean): Promise<void> {
    // The last column stays free: some terminals begin a new row there.
    const columns = Math.max(20, process.stderr.columns ?? 80) - 1;
    const height = Math.max(3, process.stderr.rows ?? 24) - 1;
    const above = this.#above.splice(0).map((line) => line(columns));
    const lines = isRunning ? this.#lines(columns, height) : [];
    // A terminal that became narrower has broken the rows that stand there.
    const rows = this.#shown.reduce(
      (sum, shown) => sum + Math.max(1, Math.ceil(shown / (columns + 1))),
      0,
    );
    const up = rows === 0 ? "" : `\u001B[${Math.min(rows, height)}A`;
    const text = [...above, ...lines];
    this.#shown = lines.map((line) => Bun.stringWidth(line));
    if (text.length === 0 && up === "") return;
    // Row by row, then what is left of the old ones: nothing flickers.
    const body = text.map((line) => `${line}\u001B[K\n`).join("");
    await this.#output.write("stderr", `${up}\r${body}\u001B[J`);
  }
}

/** Without what would not fit, in columns: wide characters take two. */
export const cut = (line: string, columns: number): string => {
  if (Bun.stringWidth(line) <= columns) return line;
  let short = "";
  let width = 0;
  for (const { segment } of new Intl.Segmenter().segment(line)) {
    width += Bun.stringWidth(segment);
    if (width > columns - 1) break;
    short += segment;
  }
  return `${short}…`;
};

/** Text on the left as far as it fits, a figure at the right edge. */
export const row = (text: string, figure: string, columns: number): string => {
  const room = Math.max(8, columns - figure.length - 1);
  const left = cut(text, room);
  return `${left}${" ".repeat(Math.max(1, room + 1 - Bun.stringWidth(left)))}${figure}`;
};

const transferText = (transfer: {
  status: string;
  id?: string;
  current?: number;
  total?: number;
}): string => {
  const { status, id, current, total } = transfer;
  const counted =
    current === undefined || total === undefined
      ? ""
      : ` ${humanSize(current)}/${humanSize(total)}`;
  return `${id === undefined ? "" : `${id}: `}${status}${counted}`;
};
