/** What `naru build` sends of a context: facts and what is asked for of them, or a tar where facts do not do. */
import { contextFacts, contextKey, manifestOf, packWanted } from "#cli/build/context-facts.ts";
import { type ContextTotals, type PackedDirectory, packBuild } from "#cli/build/context-tar.ts";

export interface PackedContext {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AsyncIterable<Uint8Array>;
  /** The engine's answer to the facts; after an error, nothing is wanted. */
  readonly onWanted: (wanted: readonly number[]) => void;
}

const asTar = (
  dockerfile: Uint8Array,
  directories: readonly PackedDirectory[],
  totals: ContextTotals,
): PackedContext => {
  const body = packBuild(dockerfile, directories, totals);
  return { headers: {}, body, onWanted: () => undefined };
};

/** `totals` grow while the body is read. An engine that does not know facts would wait for what never comes. */
export const packContext = async (
  dockerfile: Uint8Array,
  directories: readonly PackedDirectory[],
  totals: ContextTotals,
  knowsFacts: () => Promise<boolean>,
): Promise<PackedContext> => {
  if (directories.length === 0) return asTar(dockerfile, directories, totals);
  const facts = contextFacts(dockerfile, directories);
  if (facts === undefined || !(await knowsFacts())) return asTar(dockerfile, directories, totals);
  const manifest = manifestOf(facts);
  const asked = Promise.withResolvers<readonly number[]>();
  const body = async function* (): AsyncGenerator<Uint8Array, void> {
    yield manifest;
    yield* packWanted(facts, await asked.promise, totals);
  };
  return {
    headers: {
      "X-Naru-Build-Context-Key": contextKey(directories),
      "X-Naru-Build-Facts-Length": String(manifest.length),
    },
    body: body(),
    onWanted: (wanted) => asked.resolve(wanted),
  };
};
