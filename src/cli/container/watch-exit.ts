/** A container's exit code, waited for from before its start. */
import type { Client } from "#client/client.ts";
import type { WaitResponse } from "#spec/docker/container.ts";
import { NaruError } from "#lib/errors.ts";

export interface ExitWatch {
  /** Throws when the engine could not tell. */
  code(): Promise<number>;
  /** Resolves when the wait is over, however. */
  settled(): Promise<void>;
}

/** Resolves once the engine has the wait registered: it sends its answer's head right away. */
export const watchExit = async (
  client: Client,
  id: string,
  condition: "next-exit" | "removed" | "not-running",
): Promise<ExitWatch> => {
  const response = await client.call("containerWaitStream", { id, query: { condition } });
  const answer = response.text().then((text) => JSON.parse(text) as WaitResponse);
  // Looked at by whoever asks; a run that fails before that has another error to tell.
  answer.catch(() => undefined);
  return {
    code: async () => {
      const { StatusCode, Error: failure } = await answer;
      if (failure?.Message) {
        throw new NaruError("internal", `Error waiting for container: ${failure.Message}`);
      }
      return StatusCode;
    },
    settled: async () => {
      await Promise.allSettled([answer]);
    },
  };
};
