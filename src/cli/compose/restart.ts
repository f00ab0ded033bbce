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

/** One restart for each, after those of what it depends on; what must be healthy is awaited. */
const decideRestart = (stack: Stack, chosen: readonly ObservedContainer[]): Operation[] => {
  const waits = new Map<string, Operation>();
  const restarts = chosen.map((container): Operation => {
    const dependencies = stack.model.services[container.service]?.depends_on ?? {};
    const needs = chosen.flatMap(({ service, id }) => {
      const condition = dependencies[service]?.condition;
      if (condition === undefined) return [];
      if (condition !== "service_healthy") return [`restart:${id}`];
      const wait = `await:${service}`;
      waits.set(wait, {
        id: wait,
        kind: "await",
        service,
        condition,
        isRequired: dependencies[service]?.required !== false,
        needs: chosen.filter((one) => one.service === service).map((one) => `restart:${one.id}`),
        reason: "others wait for it",
      });
      return [wait];
    });
    return {
      id: `restart:${container.id}`,
      kind: "restart",
      service: container.service,
      container,
      needs: [...new Set(needs)],
      reason: "it shall restart",
    };
  });
  return [...waits.values(), ...restarts];
};

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
    await stack.observe();
    const operations = decideRestart(stack, [...chosen.values()]);
    try {
      await stack.run({ operations });
    } finally {
      await screen.finish();
    }
    return 0;
  },
});
