/** One JSON value a line over a stream, both ways. A line that is no JSON, or has no end, ends the channel. */
import type { OpenUnixStream, UnixStream } from "#kernel/unix-stream.ts";

const LINE_LIMIT_BYTES = 4 * 1024 * 1024;

export class LineChannel {
  readonly #stream: UnixStream;
  #rest = "";
  #isOpen = true;

  /** `onClose` is called once, whatever ends it. */
  constructor(open: OpenUnixStream, onLine: (value: unknown) => void, onClose: () => void) {
    this.#stream = open({
      onText: (text) => this.#take(text, onLine),
      onClose: () => {
        this.#isOpen = false;
        onClose();
      },
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Does nothing when the other side is gone. */
  send(value: unknown): void {
    if (this.#isOpen) this.#stream.write(`${JSON.stringify(value)}\n`);
  }

  close(): void {
    this.#isOpen = false;
    this.#stream.close();
  }

  #take(text: string, onLine: (value: unknown) => void): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    try {
      if (this.#rest.length > LINE_LIMIT_BYTES) throw new RangeError("a line without an end");
      for (const line of lines) onLine(JSON.parse(line));
    } catch {
      this.close();
    }
  }
}
