import { NaruError } from "#lib/errors.ts";

/** The whole body. More than `maxBytes` is resource_exhausted, a cut connection unavailable. */
export const readBounded = async (
  response: Response,
  maxBytes: number,
  what: string,
): Promise<Uint8Array> => {
  const parts: Uint8Array[] = [];
  let length = 0;
  const tooLarge = (): NaruError =>
    new NaruError("resource_exhausted", `${what} is larger than the ${maxBytes} bytes allowed`);
  if (Number(response.headers.get("content-length") ?? 0) > maxBytes) {
    await response.body?.cancel();
    throw tooLarge();
  }
  try {
    for await (const part of response.body ?? []) {
      length += part.length;
      if (length > maxBytes) throw tooLarge();
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof NaruError) throw error;
    throw new NaruError("unavailable", `${what} was cut off after ${length} bytes`, {
      cause: error,
    });
  }
  return Buffer.concat(parts);
};
