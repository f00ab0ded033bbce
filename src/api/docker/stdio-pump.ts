/**
 * Joins a client's connection and the stdio of a process: both directions side by side, each with
 * back-pressure, each able to end alone. Ends when the output ends or the client is gone.
 */
import { multiplexFrame } from "#api/docker/multiplex.ts";
import { Coalescer } from "#api/http/coalescer.ts";
import type { StdioSession } from "#container/containers.ts";
import { hasCode } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";

export interface StdioClient {
  readonly input: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
  write(bytes: Uint8Array): Promise<void>;
  /** The process has said everything. */
  end(): Promise<void>;
  dropInput(): void;
}

export interface PumpOptions {
  readonly isMultiplexed: boolean;
  readonly hasStdin: boolean;
  readonly logger: Logger;
}

const pumpInput = async (
  client: StdioClient,
  session: StdioSession,
  options: PumpOptions,
): Promise<void> => {
  try {
    for await (const bytes of client.input) {
      if (options.hasStdin) await session.writeStdin(bytes);
    }
    if (options.hasStdin) session.closeStdin();
  } catch (error) {
    // The process may close its stdin or end while the client still writes: the output goes on.
    options.logger.debug("stdin of an attached client ended early", { error });
    client.dropInput();
  }
};

const pumpOutput = async (
  client: StdioClient,
  session: StdioSession,
  options: PumpOptions,
): Promise<void> => {
  const out = new Coalescer((bytes) => client.write(bytes));
  for await (const { stream, bytes, roomBytes } of session.output) {
    await out.push(options.isMultiplexed ? multiplexFrame(stream, bytes, roomBytes) : bytes);
  }
  await out.flush();
  await client.end();
};

/** Closes the session in every case. */
export const pumpStdio = async (
  client: StdioClient,
  session: StdioSession,
  options: PumpOptions,
): Promise<void> => {
  const close = (): void => session.close();
  client.signal.addEventListener("abort", close, { once: true });
  if (client.signal.aborted) close();
  const input = pumpInput(client, session, options);
  try {
    await pumpOutput(client, session, options);
  } catch (error) {
    if (!client.signal.aborted && !hasCode(error, "canceled")) throw error;
  } finally {
    client.signal.removeEventListener("abort", close);
    session.close();
    client.dropInput();
    await input;
  }
};
