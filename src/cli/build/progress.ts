/** How a build is shown: lines for scripts, rows that change on a terminal, JSON, or nothing. */
import type { BuildMessage, BuildStep } from "#client/build-events.ts";
import type { Output } from "#cli/output.ts";

export interface BuildProgress {
  take(message: BuildMessage): Promise<void>;
  /** The context is on its way. */
  sent(files: number, bytes: number): void;
  end(): Promise<void>;
}

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)}s`;

/** "[build 2/5] RUN make". */
export class StepNames {
  #steps: readonly BuildStep[] = [];
  #places: readonly string[] = [];

  set(steps: readonly BuildStep[]): void {
    this.#steps = steps;
    const counts = new Map<string, number>();
    for (const { stage = "" } of steps) counts.set(stage, (counts.get(stage) ?? 0) + 1);
    const seen = new Map<string, number>();
    const isSingle = new Set(steps.flatMap(({ stage }) => stage ?? [])).size <= 1;
    this.#places = steps.map(({ stage }) => {
      if (stage === undefined) return "";
      const at = (seen.get(stage) ?? 0) + 1;
      seen.set(stage, at);
      const isNumber = /^\d+$/.test(stage);
      const name = isSingle && isNumber ? "" : `${isNumber ? `stage-${stage}` : stage} `;
      return `[${name}${at}/${counts.get(stage) ?? 0}] `;
    });
  }

  step(index: number): BuildStep | undefined {
    return this.#steps[index];
  }

  text(index: number): string {
    return `${this.#places[index] ?? ""}${this.#steps[index]?.text ?? ""}`;
  }
}

/** Whole lines out of pieces. */
export class LineSplitter {
  readonly #decoder = new TextDecoder();
  #rest = "";

  take(data: string): string[] {
    this.#rest += this.#decoder.decode(Buffer.from(data, "base64"), { stream: true });
    const lines = this.#rest.split("\n");
    this.#rest = lines.pop() ?? "";
    return lines.map((line) =>
      line.slice(line.lastIndexOf("\r", line.length - 2) + 1).replace(/\r$/, ""),
    );
  }

  /** What stands on the line that is not ended: progress bars write it again and again. */
  get partial(): string {
    const rest = this.#rest.replace(/\r$/, "");
    return rest.slice(rest.lastIndexOf("\r") + 1);
  }

  end(): string[] {
    const rest = this.#rest;
    this.#rest = "";
    return rest === "" ? [] : [rest];
  }
}

/** A line for each thing that happens; steps by their numbers. */
export class PlainProgress implements BuildProgress {
  readonly #output: Output;
  readonly #isExplained: boolean;
  readonly #names = new StepNames();
  readonly #splitters = new Map<string, LineSplitter>();

  constructor(output: Output, isExplained: boolean) {
    this.#output = output;
    this.#isExplained = isExplained;
  }

  sent(): void {
    // The total is told at the end alone.
  }

  async take(message: BuildMessage): Promise<void> {
    switch (message.kind) {
      case "plan":
        this.#names.set(message.steps);
        return;
      case "start":
        return await this.#line(`#${message.step + 1} ${this.#names.text(message.step)}`);
      case "run":
        if (!this.#isExplained) return;
        return await this.#line(`#${message.step + 1} not cached: ${message.why}`);
      case "trigger":
        if (message.isCached === false) return;
        return await this.#line(
          `#${message.step + 1} ${message.isCached === true ? "CACHED" : message.text}`,
        );
      case "output":
        return await this.#outputLines(message.step, this.#splitter(message).take(message.data));
      case "transfer": {
        const { status, id, current } = message.transfer;
        if (current !== undefined) return;
        const text = id === undefined ? status : `${id}: ${status}`;
        return await this.#line(`#${message.step + 1} ${text}`);
      }
      case "done": {
        await this.#flush(message.step);
        const how = message.isCached ? "CACHED" : `DONE ${seconds(message.durationMs)}`;
        return await this.#line(`#${message.step + 1} ${how}`);
      }
      case "failed":
        await this.#flush(message.step);
        return await this.#line(`#${message.step + 1} ERROR ${message.message}`);
      case "unused-args":
        return await this.#line(
          `warning: build args that no ARG names: ${message.names.join(", ")}`,
        );
      case "cache":
        return await this.#line(message.text);
      case "platform":
        return await this.#line(`building for ${message.platform}`);
      case "cache-data":
      case "output-data":
      case "wanted":
      case "result":
      case "error":
        return;
    }
  }

  async end(): Promise<void> {
    await this.#output.flush();
  }

  #splitter({ step, stream }: { step: number; stream: number }): LineSplitter {
    const key = `${step}.${stream}`;
    let splitter = this.#splitters.get(key);
    if (splitter === undefined) {
      splitter = new LineSplitter();
      this.#splitters.set(key, splitter);
    }
    return splitter;
  }

  async #flush(step: number): Promise<void> {
    for (const stream of [1, 2]) {
      const rest = this.#splitters.get(`${step}.${stream}`)?.end() ?? [];
      await this.#outputLines(step, rest);
    }
  }

  async #outputLines(step: number, lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return;
    const text = lines.map((line) => `#${step + 1} ${line}\n`).join("");
    await this.#output.write("stderr", text);
  }

  async #line(text: string): Promise<void> {
    await this.#output.write("stderr", `${text}\n`);
  }
}

/** The engine's own messages, one a line, on standard output. */
export class JsonProgress implements BuildProgress {
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  sent(): void {
    // Told by the engine's messages.
  }

  async take(message: BuildMessage): Promise<void> {
    await this.#output.write("stdout", `${JSON.stringify(message)}\n`);
  }

  async end(): Promise<void> {
    await this.#output.flush();
  }
}

export class QuietProgress implements BuildProgress {
  sent(): void {
    // Nothing is shown.
  }

  async take(): Promise<void> {
    // Nothing is shown; errors are the command's own.
  }

  async end(): Promise<void> {
    // Nothing was shown.
  }
}
