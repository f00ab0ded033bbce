/** A stream of bytes without its compression, whatever that is; for streams that arrive over time. */
import { NaruError } from "#lib/errors.ts";
import {
  type Compression,
  MAGIC_BYTES,
  decompressor,
  detectCompression,
  missingProgram,
} from "#snapshot/compression.ts";
import { transformed } from "#snapshot/transformed.ts";

async function* joined(
  head: Uint8Array,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  try {
    yield head;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
      yield next.value;
    }
  } finally {
    await rest.return?.();
  }
}

const damaged = (compression: Compression, cause: unknown): NaruError =>
  new NaruError("invalid_argument", `the ${compression} data of the archive is damaged`, { cause });

async function* byRuntime(
  compression: "gzip" | "zstd",
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  // Seldom needed in the engine itself, and ten milliseconds of its start.
  const [{ createGunzip, createZstdDecompress }, { Readable }] = await Promise.all([
    import("node:zlib"),
    import("node:stream"),
  ]);
  const transform = compression === "gzip" ? createGunzip() : createZstdDecompress();
  const source = Readable.from(input);
  yield* transformed(source, transform, (cause) => damaged(compression, cause));
}

async function* byProgram(
  compression: Compression,
  command: string[],
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
  const feed = async (): Promise<void> => {
    try {
      for await (const chunk of input) {
        await child.stdin.write(chunk);
        await child.stdin.flush();
      }
    } finally {
      await child.stdin.end();
    }
  };
  const feeding = feed();
  // Awaited below; until then a failure must not count as unhandled.
  feeding.catch(() => undefined);
  const complaint = child.stderr.text();
  try {
    yield* child.stdout;
    await feeding;
    if ((await child.exited) !== 0) throw damaged(compression, await complaint);
  } finally {
    child.kill();
  }
}

/** Ends or fails as `input` does; damaged data gives invalid_argument. */
export async function* decompress(
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  const iterator = input[Symbol.asyncIterator]();
  let head: Uint8Array = new Uint8Array();
  while (head.length < MAGIC_BYTES) {
    const next = await iterator.next();
    if (next.done === true) break;
    head = head.length === 0 ? next.value : Buffer.concat([head, next.value]);
  }
  const whole = joined(head, iterator);
  const compression = detectCompression(head);
  switch (compression) {
    case "none":
      yield* whole;
      break;
    case "gzip":
    case "zstd":
      yield* byRuntime(compression, whole);
      break;
    case "xz":
    case "bzip2": {
      const command = decompressor(compression);
      if (command === undefined) throw missingProgram(compression);
      yield* byProgram(compression, command, whole);
      break;
    }
  }
}
