/**
 * A client's content store over its session: blobs of an OCI layout in a directory of the client. Stores have ids, such
 * as "local:/path" for a cache's directory, or "export" for an exporter's.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { ClientSession } from "#api/docker/buildkit/sessions.ts";
import type { Bundle, BundleBlob } from "#image/bundle.ts";
import { NaruError, hasCode } from "#lib/errors.ts";
import {
  ReadContentRequestSchema,
  ReadContentResponseSchema,
  WriteContentRequestSchema,
  WriteContentResponseSchema,
} from "#spec/buildkit/content.gen.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";

const SERVICE = "/containerd.services.content.v1.Content";
const STORE_ID = "buildkit-attachable-store-id";
const CHUNK_BYTES = 1024 * 1024;
const [STAT, WRITE, COMMIT] = [0, 1, 2];

async function* chunksOf(blob: BundleBlob): AsyncGenerator<Uint8Array, void> {
  for await (const bytes of Bun.file(blob.path).stream()) {
    for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
      yield bytes.subarray(start, start + CHUNK_BYTES);
    }
  }
}

export class ContentStore {
  readonly #session: ClientSession;
  readonly #id: string;

  constructor(session: ClientSession, id: string) {
    if (!session.supports(`${SERVICE}/Write`)) {
      const reason = `the client serves no content store "${id}": it needs buildx`;
      throw new NaruError("failed_precondition", reason);
    }
    this.#session = session;
    this.#id = id;
  }

  /** The blob's bytes as they come; whoever reads them compares. */
  read({ digest, size }: Descriptor, signal: AbortSignal): ReadableStream<Uint8Array> {
    const stream = this.#session.client.stream(`${SERVICE}/Read`, { [STORE_ID]: this.#id }, signal);
    const request = create(ReadContentRequestSchema, { digest, size: BigInt(size) });
    const read = async function* (): AsyncGenerator<Uint8Array, void> {
      await stream.send(toBinary(ReadContentRequestSchema, request));
      stream.end();
      for await (const message of stream.messages) {
        yield fromBinary(ReadContentResponseSchema, message).data;
      }
    };
    const parts = read();
    return new ReadableStream({
      pull: async (controller) => {
        const next = await parts.next();
        if (next.done === true) controller.close();
        else controller.enqueue(next.value);
      },
      cancel: () => stream.cancel(),
    });
  }

  /** A blob that is there already is no error. */
  async #write(
    { digest, size }: Descriptor,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<void> {
    const path = `${SERVICE}/Write`;
    const stream = this.#session.client.stream(path, { [STORE_ID]: this.#id }, signal);
    const answers = stream.messages[Symbol.asyncIterator]();
    const common = { ref: `naru-${digest}`, total: BigInt(size), expected: digest };
    const ask = async (
      action: number | undefined,
      more: { offset?: bigint; data?: Uint8Array } = {},
    ): Promise<bigint> => {
      const request = create(WriteContentRequestSchema, {
        ...common,
        ...more,
        action: action ?? 0,
      });
      await stream.send(toBinary(WriteContentRequestSchema, request));
      const answer = await answers.next();
      if (answer.done === true) throw new NaruError("unavailable", "the content store went away");
      return fromBinary(WriteContentResponseSchema, answer.value).offset;
    };
    try {
      const begun = Number(await ask(STAT));
      let offset = 0;
      for await (const data of source) {
        // What an earlier try has left there stays.
        const rest = data.subarray(Math.min(data.length, Math.max(0, begun - offset)));
        if (rest.length > 0) {
          const at = offset + data.length - rest.length;
          await ask(WRITE, { offset: BigInt(at), data: rest });
        }
        offset += data.length;
      }
      await ask(COMMIT, { offset: BigInt(size) });
      stream.end();
    } catch (error) {
      stream.cancel();
      if (!hasCode(error, "already_exists")) throw error;
    }
  }

  /** All of a bundle, the root last. The client writes its index itself. */
  async writeBundle({ blobs, documents }: Bundle, signal: AbortSignal): Promise<void> {
    const seen = new Set<string>();
    for (const blob of blobs) {
      const { descriptor } = blob;
      if (seen.has(descriptor.digest)) continue;
      seen.add(descriptor.digest);
      await this.#write(descriptor, chunksOf(blob), signal);
    }
    for (const { descriptor, text } of documents) {
      await this.#write(descriptor, [Buffer.from(text)], signal);
    }
  }
}
