/** Builds that belong together: they run at once, what they have in common once, and the first that fails ends the others. */
import type { BuildRequest, BuildResult, Builds } from "#build/build.ts";
import { NaruError } from "#lib/errors.ts";

export interface SideBySide {
  /** Told of the results of those that ended before another one failed. */
  readonly drop: (result: BuildResult) => void;
  readonly onFailure?: (error: unknown) => void;
}

/** In the order of the requests, of which there is one at least. Throws what the first that failed throws. */
export const buildSideBySide = async (
  builds: Pick<Builds, "build">,
  requests: readonly BuildRequest[],
  { drop, onFailure }: SideBySide,
): Promise<[BuildResult, ...BuildResult[]]> => {
  const stop = new AbortController();
  const running = requests.map(async (request) => {
    const signal = AbortSignal.any([request.signal, stop.signal]);
    try {
      return await builds.build({ ...request, signal });
    } catch (error) {
      stop.abort(error);
      onFailure?.(error);
      throw error;
    }
  });
  const ended = await Promise.allSettled(running);
  if (stop.signal.aborted) {
    for (const one of ended) if (one.status === "fulfilled") drop(one.value);
    throw stop.signal.reason;
  }
  const [first, ...others] = await Promise.all(running);
  if (first === undefined) throw new NaruError("internal", "a build without a platform");
  return [first, ...others];
};
