/** One thing done to each chosen container, all at once or dependency by dependency. */
import type { CliContext } from "#cli/context.ts";
import { type ChooseOptions, chooseContainers } from "#cli/compose/chosen.ts";
import type { ObservedContainer } from "#compose/compose.ts";
import { dependentsFirst } from "#compose/down.ts";
import { runGraph } from "#compose/graph.ts";
import type { Stack } from "#compose/stack.ts";
import { toNaruError } from "#lib/errors.ts";

export interface EachOptions extends ChooseOptions {
  readonly words: readonly [begin: string, done: string];
  /** Dependents first (stop), dependencies first (start), or all at once. */
  readonly order: "dependents" | "dependencies" | "none";
  readonly isMeant: (container: ObservedContainer) => boolean;
  readonly act: (stack: Stack, container: ObservedContainer) => Promise<unknown>;
  /** All of the services named, before `isMeant` chooses; may throw. */
  readonly onChosen?: (containers: readonly ObservedContainer[]) => void;
}

/** How many it was done to. Rejects with the first failure. */
export const eachContainer = async (
  context: CliContext,
  named: readonly string[],
  options: EachOptions,
): Promise<number> => {
  const { stack, screen, containers } = await chooseContainers(context, named, options);
  using _owned = stack;
  options.onChosen?.(containers);
  const chosen = containers.filter(options.isMeant);
  // Seen from a dependency: who depends on it.
  const before = dependentsFirst(chosen, stack.model, "act");
  const needs = (id: string): readonly string[] => {
    if (options.order === "none") return [];
    if (options.order === "dependents") return before.get(id) ?? [];
    return (reversed.get(id) ?? []).map((other) => `act:${other}`);
  };
  const reversed = invert(before);
  try {
    await runGraph(
      chosen.map((container) => ({
        id: `act:${container.id}`,
        needs: needs(container.id),
        container,
      })),
      stack.options.parallel,
      async ({ container }) => {
        const subject = `Container ${container.name}`;
        screen.show({ subject, status: options.words[0], phase: "begin" });
        try {
          await options.act(stack, container);
        } catch (error) {
          const detail = toNaruError(error).message;
          screen.show({ subject, status: "Error", phase: "fail", detail });
          throw error;
        }
        screen.show({ subject, status: options.words[1], phase: "done" });
      },
      stack.options.signal,
    );
  } finally {
    await screen.finish();
  }
  return chosen.length;
};

/** From "who must come before me" to "whom I come before". */
const invert = (
  before: ReadonlyMap<string, readonly string[]>,
): ReadonlyMap<string, readonly string[]> => {
  const after = new Map<string, string[]>();
  for (const [id, others] of before) {
    for (const other of others) {
      const key = other.replace(/^act:/, "");
      after.set(key, [...(after.get(key) ?? []), id]);
    }
  }
  return after;
};
