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
  #rows = 0;
  #context = "";
  #above: string[] = [];
  #timer: Timer | undefined;
  #drawing: Promise<void> = Promise.resolve();

  constructor(output: Output, isExplained: boolean) {
    this.#output = output;
    this.#isExplained = isExplained;
    this.#timer = setInterval(() => void this.#draw(), REDRAW_MS);
  }

  sent(files: number, bytes: number): void {
    this.#context = `context: ${files} files, ${humanSize(bytes)}`;
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
    await this.#paint([]);
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
    const how = isCached ? `${FAINT}cached${RESET}` : seconds(durationMs);
    this.#keep(`${GREEN}✓${RESET} ${this.#names.text(step)} ${how}`);
  }

  #failed(step: number): void {
    const running = this.#running.get(step);
    this.#running.delete(step);
    this.#keep(`${RED}✗${RESET} ${this.#names.text(step)}`);
    const rest = [...(running?.splitters.values() ?? [])].flatMap((splitter) => splitter.end());
    for (const line of [...(running?.tail ?? []), ...rest.map(printable)])
      this.#keep(`    ${line}`);
  }

  #keep(line: string): void {
    this.#above.push(line);
  }

  #draw(): Promise<void> {
    this.#drawing = this.#drawing.then(() => this.#paint(this.#lines())).catch(() => undefined);
    return this.#drawing;
  }

  #lines(): string[] {
    const now = performance.now();
    const lines = [...this.#running].flatMap(([step, { beganMs, tail, note }]) => [
      `  ${this.#names.text(step)} ${note} ${seconds(now - beganMs)}`,
      ...tail.slice(-SHOWN_LINES).map((line) => `${FAINT}    ${line}${RESET}`),
    ]);
    return [`${FAINT}building ${seconds(now - this.#beganMs)} ${this.#context}${RESET}`, ...lines];
  }

  /** Finished lines stay; the rows below them are drawn anew. */
  async #paint(lines: readonly string[]): Promise<void> {
    const width = Math.max(20, process.stderr.columns ?? 80);
    const above = this.#above.splice(0);
    const up = this.#rows === 0 ? "" : `\u001B[${this.#rows}A`;
    const text = [...above, ...lines.map((line) => cut(line, width))];
    this.#rows = lines.length;
    if (text.length === 0 && up === "") return;
    const body = text.map((line) => `${line}\n`).join("");
    await this.#output.write("stderr", `${up}\r\u001B[J${body}`);
  }
}

/** Colours take no room. */
const cut = (line: string, width: number): string => {
  const plain = printable(line);
  if (plain.length < width) return line;
  const faint = line.startsWith(FAINT);
  const short = `${plain.slice(0, width - 2)}…`;
  return faint ? `${FAINT}${short}${RESET}` : short;
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
