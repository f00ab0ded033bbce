import { chooseContainers } from "#cli/compose/chosen.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { bool, integer } from "#cli/framework/flags.ts";
import type { ObservedContainer, Operation } from "#compose/compose.ts";
import type { Stack } from "#compose/stack.ts";

/** Those that asked to be restarted with what they depend on. */
const dependents = (
  stack: Stack,
  all: readonly ObservedContainer[],
  named: readonly string[],
): ObservedContainer[] =>
  all.filter((container) =>
    Object.entries(stack.model.services[container.service]?.depends_on ?? {}).some(
      ([other, { restart }]) => restart === true && named.includes(other),
    ),
  );

export const command = defineCommand({
  usage: "[OPTIONS] [SERVICE...]",
  flags: {
    "no-deps": bool("Leave services alone that ask to be restarted with these"),
    timeout: integer("Seconds that containers get to stop", "t"),
  },
  args: ANY,
  run: async ({ context, flags, args }) => {
    const { stack, screen, containers } = await chooseContainers(context, args, {
      stopTimeout: flags.timeout,
    });
    using _owned = stack;
    const all = (await stack.containers()).filter((container) => !container.isOneOff);
    const more = flags["no-deps"] ? [] : dependents(stack, all, args);
    const chosen = new Map([...containers, ...more].map((item) => [item.id, item]));
    const operations = [...chosen.values()].map((container): Operation => {
      const dependencies = Object.keys(stack.model.services[container.service]?.depends_on ?? {});
      return {
        id: `restart:${container.id}`,
        kind: "restart",
        service: container.service,
        container,
        needs: [...chosen.values()]
          .filter((other) => dependencies.includes(other.service))
          .map((other) => `restart:${other.id}`),
        reason: "it shall restart",
      };
    });
    try {
      await stack.run({ operations });
    } finally {
      await screen.finish();
    }
    return 0;
  },
});
