/** Stops running containers, dependents before what they depend on. */
import type { Screen } from "#cli/compose/screen.ts";
import { dependentsFirst } from "#compose/down.ts";
import type { Stack } from "#compose/stack.ts";

/** `services`: only these; all when there is none. */
export const stopProject = async (
  stack: Stack,
  screen: Screen,
  services: readonly string[],
): Promise<void> => {
  const all = await stack.containers();
  const containers = all.filter(
    (container) =>
      !container.isOneOff &&
      (services.length === 0 || services.includes(container.service)) &&
      (container.state === "running" || container.state === "restarting"),
  );
  const before = dependentsFirst(containers, stack.model, "stop");
  try {
    const operations = containers.map((container) => ({
      id: `stop:${container.id}`,
      kind: "stop" as const,
      container,
      needs: before.get(container.id) ?? [],
      reason: "it shall stop",
    }));
    await stack.run({ operations }, true);
  } finally {
    await screen.finish();
  }
};
