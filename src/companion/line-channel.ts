/** One JSON value a line over a stream, both ways. A line that is no JSON, or has no end, ends the channel. */
import type { Socket } from "node:net";

const LINE_LIMIT_BYTES = 4 * 1024 * 1024;

export class LineChannel {
  readonly #socket: Socket;
  #rest = "";
  #isOpen = true;

  /** `onClose` is called once, whatever ends it. */
  constructor(socket: Socket, onLine: (value: unknown) => void, onClose: () => void) {
    this.#socket = socket;
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => this.#take(text, onLine));
    // What is wrong with it is told by its end.
    socket.on("error", () => undefined);
    socket.once("close", () => {
      this.#isOpen = false;
      onClose();
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Does nothing when the other side is gone. */
  send(value: unknown): void {
    if (this.#isOpen) this.#socket.write(`${JSON.stringify(value)}\n`);
  }

  close(): void {
    this.#isOpen = false;
    this.#socket.destroy();
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
