/** Streams of one JSON value a line: progress of pull, load, import; events; stats. */
import { NaruError } from "#lib/errors.ts";

export interface ProgressMessage {
  readonly status?: string;
  readonly id?: string;
  /** Text for the terminal as it is (load, build). */
  readonly stream?: string;
  readonly progress?: string;
  readonly progressDetail?: {
    readonly current?: number;
    readonly total?: number;
    readonly units?: string;
    readonly hidecounts?: boolean;
  };
  readonly error?: string;
  readonly errorDetail?: { readonly code?: number; readonly message?: string };
  readonly aux?: unknown;
}

/** A JSON value per line; a last line without its newline counts. */
export async function* jsonLines<T>(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<T> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") yield JSON.parse(line) as T;
  }
  if (rest.trim() !== "") yield JSON.parse(rest) as T;
}

/** Progress messages; a message with an error ends the stream by throwing it. */
export async function* progressMessages(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<ProgressMessage> {
  for await (const message of jsonLines<ProgressMessage>(chunks)) {
    const text = message.errorDetail?.message ?? message.error;
    if (text !== undefined) {
      throw new NaruError("internal", text, {
        details: message.errorDetail?.code === undefined ? {} : { code: message.errorDetail.code },
      });
    }
    yield message;
  }
}
