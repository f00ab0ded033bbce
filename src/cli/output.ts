/**
 * Standard output and error. Text is kept and written in order at `flush`; `write` passes bytes on
 * at once and waits for a slow reader. Not process.stdout: loading it takes longer than a command.
 */
import { NaruError } from "#lib/errors.ts";

export type OutputStream = "stdout" | "stderr";

const isBrokenPipe = (error: unknown): boolean =>
  error instanceof Error && Reflect.get(error, "code") === "EPIPE";

/** Exit code of a program that SIGPIPE ended, as shells show it. */
export const BROKEN_PIPE_EXIT_CODE = 141;

export class Output {
  readonly #sinks: Partial<Record<OutputStream, Bun.FileSink>> = {};
  #pending: { readonly stream: OutputStream; text: string }[] = [];
  #isTerminal: Partial<Record<OutputStream, boolean>> = {};

  #sink(stream: OutputStream): Bun.FileSink {
    const known = this.#sinks[stream];
    if (known !== undefined) return known;
    const sink = (stream === "stdout" ? Bun.stdout : Bun.stderr).writer();
    this.#sinks[stream] = sink;
    return sink;
  }

  #add(stream: OutputStream, text: string): void {
    const last = this.#pending.at(-1);
    if (last?.stream === stream) last.text += text;
    else this.#pending.push({ stream, text });
  }

  print(text: string): void {
    this.#add("stdout", text);
  }

  line(text: string): void {
    this.#add("stdout", `${text}\n`);
  }

  /** A line on standard error. */
  error(text: string): void {
    this.#add("stderr", `${text}\n`);
  }

  /** Throws `aborted` with exit code 141 when the reader has gone away. */
  async write(stream: OutputStream, data: string | Uint8Array): Promise<void> {
    if (this.#pending.length > 0) await this.flush();
    try {
      const sink = this.#sink(stream);
      await sink.write(data);
      await sink.flush();
    } catch (error) {
      const reason =
        error instanceof Error ? error.message.replace(/^E[A-Z]+: |, write$/g, "") : "";
      throw isBrokenPipe(error)
        ? new NaruError("aborted", "nobody reads the output any more", {
            cause: error,
            details: { exitCode: BROKEN_PIPE_EXIT_CODE },
          })
        : new NaruError("aborted", `write /dev/${stream}: ${reason}`, {
            cause: error,
            details: { exitCode: 1 },
          });
    }
  }

  async flush(): Promise<void> {
    const pending = this.#pending;
    this.#pending = [];
    for (const { stream, text } of pending) await this.write(stream, text);
  }

  async isTerminal(stream: OutputStream): Promise<boolean> {
    const known = this.#isTerminal[stream];
    if (known !== undefined) return known;
    const { isTerminal } = await import("#cli/terminal/is-terminal.ts");
    const answer = await isTerminal(stream === "stdout" ? 1 : 2);
    this.#isTerminal = { ...this.#isTerminal, [stream]: answer };
    return answer;
  }
}
