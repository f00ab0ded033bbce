/** What comes back within a build's answer: pieces of several streams in turn, each stream to its place. */

export interface PieceWriter {
  write(data: Uint8Array): Promise<void>;
  /** All of it has come. */
  end(): Promise<void>;
  /** Removes what is half made. */
  drop(): Promise<void>;
}

/** Disposing drops what was not ended. */
export class PieceWriters implements AsyncDisposable {
  readonly #open: (position: number) => PieceWriter | Promise<PieceWriter>;
  readonly #writers = new Map<number, PieceWriter>();

  /** `open` is called at the first piece of a stream; it throws for one that nobody asked for. */
  constructor(open: (position: number) => PieceWriter | Promise<PieceWriter>) {
    this.#open = open;
  }

  /** `data`: base64 of the next piece; "" ends the stream. */
  async take(position: number, data: string): Promise<void> {
    const writer = this.#writers.get(position) ?? (await this.#open(position));
    this.#writers.set(position, writer);
    if (data !== "") return await writer.write(Buffer.from(data, "base64"));
    await writer.end();
    this.#writers.delete(position);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#writers.values()].map((writer) => writer.drop()));
  }
}
