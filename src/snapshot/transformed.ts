/** A stream of the runtime's through one of its transforms, as chunks; both end with the reader. */
import type { Readable, Transform } from "node:stream";

/** What `source` throws passes through; what `transform` throws is damage, which `damaged` words. */
export async function* transformed(
  source: Readable,
  transform: Transform,
  damaged: (cause: unknown) => Error,
): AsyncGenerator<Uint8Array, void> {
  let sourceError: unknown;
  source.on("error", (error) => {
    sourceError = error;
    transform.destroy(error);
  });
  source.pipe(transform);
  try {
    for await (const chunk of transform) yield chunk as Uint8Array;
  } catch (error) {
    throw sourceError ?? damaged(error);
  } finally {
    source.destroy();
    transform.destroy();
  }
}
