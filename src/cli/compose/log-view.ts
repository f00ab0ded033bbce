/** Logs of several containers as lines with aligned, coloured names. */
import type { CliContext } from "#cli/context.ts";
import type { Client } from "#client/client.ts";
import { demultiplex } from "#client/stream.ts";
import type { ObservedContainer } from "#compose/compose.ts";
import { hasCode } from "#lib/errors.ts";

const COLORS = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94];

export interface LogOptions {
  readonly isFollowed: boolean;
  readonly tail?: string | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly hasTimestamps: boolean;
  readonly hasPrefix: boolean;
  readonly hasColor: boolean;
  /** What went to standard error is shown on standard output too. */
  readonly isOneStream?: boolean;
  readonly signal?: AbortSignal;
}

/** "web-1": the name without the project's. */
export const shortName = (container: ObservedContainer, project: string): string =>
  container.name.startsWith(`${project}-`)
    ? container.name.slice(project.length + 1)
    : container.name;

export class LogView {
  readonly #context: CliContext;
  readonly #client: Client;
  readonly #options: LogOptions;
  readonly #prefixes = new Map<string, { name: string; color: number }>();
  #width = 0;

  constructor(context: CliContext, client: Client, options: LogOptions) {
    this.#context = context;
    this.#client = client;
    this.#options = options;
  }

  /** To be called for all before the first line is shown, so that names are aligned. */
  add(id: string, name: string): void {
    if (this.#prefixes.has(id)) return;
    const color = COLORS[this.#prefixes.size % COLORS.length] ?? 36;
    this.#prefixes.set(id, { name, color });
    this.#width = Math.max(this.#width, name.length);
  }

  /** A name that will come: makes room for it. */
  reserve(name: string): void {
    this.#width = Math.max(this.#width, name.length);
  }

  #prefix(id: string): string {
    const known = this.#prefixes.get(id);
    if (!this.#options.hasPrefix || known === undefined) return "";
    const text = `${known.name.padEnd(this.#width)}  | `;
    return this.#options.hasColor ? `\u001B[${String(known.color)}m${text}\u001B[0m` : text;
  }

  /** "web-1 exited with code 3", as docker compose says it. */
  async exited(id: string, exitCode: number): Promise<void> {
    const known = this.#prefixes.get(id);
    if (known === undefined) return;
    const text = `${known.name} exited with code ${String(exitCode)}`;
    const shown = this.#options.hasColor ? `\u001B[${String(known.color)}m${text}\u001B[0m` : text;
    await this.#context.output.write("stdout", `${shown}\n`);
  }

  /** Until the log ends or the signal comes. `since` goes before the options' own. */
  async show(id: string, since = this.#options.since): Promise<void> {
    const { isFollowed, tail, until, hasTimestamps, signal } = this.#options;
    try {
      const container = await this.#client.call("containerInspect", { id });
      const response = await this.#client.call("containerLogs", {
        id,
        query: {
          stdout: true,
          stderr: true,
          follow: isFollowed,
          timestamps: hasTimestamps,
          tail: tail ?? "all",
          since,
          until,
        },
        signal,
      });
      if (container.Config.Tty) await this.#copy(id, response.body, "stdout");
      else await this.#demultiplexed(id, response.body);
    } catch (error) {
      if (signal?.aborted === true || hasCode(error, "not_found")) return;
      throw error;
    }
  }

  async #demultiplexed(id: string, body: AsyncIterable<Uint8Array>): Promise<void> {
    const lines = { stdout: new LineSplitter(), stderr: new LineSplitter() };
    for await (const { stream, bytes } of demultiplex(body)) {
      const name = stream === "stderr" ? "stderr" : "stdout";
      for (const line of lines[name].push(bytes)) await this.#write(name, id, line);
    }
    for (const name of ["stdout", "stderr"] as const) {
      for (const line of lines[name].end()) await this.#write(name, id, line);
    }
  }

  async #copy(id: string, body: AsyncIterable<Uint8Array>, name: "stdout"): Promise<void> {
    const splitter = new LineSplitter();
    for await (const bytes of body) {
      for (const line of splitter.push(bytes)) await this.#write(name, id, line);
    }
    for (const line of splitter.end()) await this.#write(name, id, line);
  }

  async #write(name: "stdout" | "stderr", id: string, line: string): Promise<void> {
    const target = this.#options.isOneStream === true ? "stdout" : name;
    await this.#context.output.write(target, `${this.#prefix(id)}${line}\n`);
  }
}

/** A line longer than this is shown in parts. */
const MAX_LINE = 256 * 1024;

class LineSplitter {
  readonly #decoder = new TextDecoder();
  #rest = "";

  push(bytes: Uint8Array): string[] {
    this.#rest += this.#decoder.decode(bytes, { stream: true });
    const lines = this.#rest.split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > MAX_LINE) {
      lines.push(this.#rest);
      this.#rest = "";
    }
    return lines.map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line));
  }

  end(): string[] {
    const rest = this.#rest + this.#decoder.decode();
    this.#rest = "";
    return rest === "" ? [] : [rest];
  }
}
