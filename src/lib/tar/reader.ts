/**
 * Entries of a tar archive one after another, for callers that wait anyway (image load, build
 * contexts). Going on to the next entry skips what was not read of the last one. The chunks of
 * `source` must not be reused by whoever made them.
 */
import { NaruError } from "#lib/errors.ts";
import type { TarEntry } from "#lib/tar/entry.ts";
import { TarParser } from "#lib/tar/parser.ts";

type Event =
  | { readonly kind: "entry"; readonly entry: TarEntry; readonly dataOffset: number }
  | { readonly kind: "data"; readonly bytes: Uint8Array; readonly offset: number }
  | { readonly kind: "end" };

export interface TarFile {
  readonly entry: TarEntry;
  /** Where the content starts in the archive; meaningless for sparse files. */
  readonly dataOffset: number;
  /** The content, holes as zeros. Can be read once, before the next entry is asked for. */
  body(): AsyncGenerator<Uint8Array, void>;
  /** The whole content; resource_exhausted when it is longer than `limitBytes`. */
  bytes(limitBytes: number): Promise<Uint8Array>;
}

const HOLE = new Uint8Array(64 * 1024);

export class TarReader implements AsyncIterable<TarFile> {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #events: Event[] = [];
  readonly #parser: TarParser;
  #isSourceEnded = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
    this.#parser = new TarParser({
      entry: (entry, dataOffset) => this.#events.push({ kind: "entry", entry, dataOffset }),
      data: (bytes, offset) => this.#events.push({ kind: "data", bytes, offset }),
      entryEnd: () => this.#events.push({ kind: "end" }),
    });
  }

  /** Reads to the last byte of the source, also behind the archive's end. */
  async *[Symbol.asyncIterator](): AsyncGenerator<TarFile, void> {
    try {
      for (;;) {
        const event = await this.#next();
        if (event === undefined) return;
        if (event.kind === "entry") yield this.#file(event.entry, event.dataOffset);
      }
    } finally {
      await this.#source.return?.();
    }
  }

  async #next(): Promise<Event | undefined> {
    while (this.#events.length === 0) {
      if (this.#isSourceEnded) return undefined;
      const chunk = await this.#source.next();
      if (chunk.done === true) {
        this.#isSourceEnded = true;
        this.#parser.end();
      } else {
        this.#parser.push(chunk.value);
      }
    }
    return this.#events.shift();
  }

  #file(entry: TarEntry, dataOffset: number): TarFile {
    const body = (): AsyncGenerator<Uint8Array, void> => this.#body(entry);
    return {
      entry,
      dataOffset,
      body,
      bytes: async (limitBytes) => {
        if (entry.size > limitBytes) {
          throw new NaruError(
            "resource_exhausted",
            `tar entry "${entry.name}" has ${entry.size} bytes, more than ${limitBytes}`,
          );
        }
        return Buffer.concat(await Array.fromAsync(body()));
      },
    };
  }

  async *#body(entry: TarEntry): AsyncGenerator<Uint8Array, void> {
    let position = 0;
    for (;;) {
      const event = await this.#next();
      if (event?.kind !== "data") break;
      yield* holes(event.offset - position);
      yield event.bytes;
      position = event.offset + event.bytes.length;
    }
    yield* holes(entry.size - position);
  }
}

function* holes(length: number): Generator<Uint8Array, void> {
  for (let left = length; left > 0; left -= HOLE.length) {
    yield left >= HOLE.length ? HOLE : HOLE.subarray(0, left);
  }
}
