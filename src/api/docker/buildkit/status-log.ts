/**
 * What a build says, in the form of its clients: kept from the first message on, so that who asks late, or again,
 * hears all of it. Bounded: of a build that says too much, the oldest output is left out for late listeners.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { StatusResponseSchema } from "#spec/buildkit/control.gen.ts";

const KEPT_MAX_BYTES = 4 * 1024 * 1024;

/** The messages of what `packed` gave. A file that was cut short gives those that are whole. */
export function* unpackStatus(packed: Buffer): Generator<Uint8Array, void> {
  for (let at = 0; at + 4 <= packed.length;) {
    const end = at + 4 + packed.readUInt32LE(at);
    if (end > packed.length) return;
    yield packed.subarray(at + 4, end);
    at = end;
  }
}

export class StatusLog {
  #messages: Uint8Array[] = [];
  #dropped = 0;
  #sizeBytes = 0;
  #isEnded = false;
  #wakes = new Set<() => void>();
  /** Pending while the slowest listener is far behind. */
  #room: PromiseWithResolvers<void> | undefined;
  readonly #positions = new Set<{ next: number }>();

  /** Resolves when there is room for more: output is not produced faster than it is read. */
  async add(status: MessageInitShape<typeof StatusResponseSchema>): Promise<void> {
    const message = toBinary(StatusResponseSchema, create(StatusResponseSchema, status));
    this.#messages.push(message);
    this.#sizeBytes += message.length;
    for (const wake of this.#wakes) wake();
    while (this.#sizeBytes > KEPT_MAX_BYTES && this.#messages.length > 1) {
      if ([...this.#positions].some(({ next }) => next <= this.#dropped)) {
        this.#room ??= Promise.withResolvers();
        await this.#room.promise;
        continue;
      }
      this.#sizeBytes -= this.#messages.shift()?.length ?? 0;
      this.#dropped += 1;
    }
  }

  /** All that is kept: each message after its length in four bytes, the low one first, as BuildKit keeps them. */
  packed(): Buffer {
    return Buffer.concat(
      this.#messages.flatMap((message) => {
        const head = Buffer.alloc(4);
        head.writeUInt32LE(message.length);
        return [head, message];
      }),
    );
  }

  end(): void {
    this.#isEnded = true;
    for (const wake of this.#wakes) wake();
  }

  /** Encoded StatusResponses, until the build has ended and all is told. */
  async *read(signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    const position = { next: this.#dropped };
    this.#positions.add(position);
    try {
      for (;;) {
        signal.throwIfAborted();
        const message = this.#messages[position.next - this.#dropped];
        if (message !== undefined) {
          yield message;
          position.next += 1;
          this.#makeRoom();
          continue;
        }
        if (this.#isEnded) return;
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wakes.add(resolve);
        signal.addEventListener("abort", () => resolve(), { once: true });
        await promise;
        this.#wakes.delete(resolve);
      }
    } finally {
      this.#positions.delete(position);
      this.#makeRoom();
    }
  }

  #makeRoom(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }
}
