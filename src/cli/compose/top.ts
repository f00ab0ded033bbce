import { chooseContainers } from "#cli/compose/chosen.ts";
import { alignColumns } from "#cli/format/table.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";

export const command = defineCommand({
  usage: "[SERVICE...]",
  flags: {},
  args: ANY,
  run: async ({ context, args }) => {
    const { stack, containers } = await chooseContainers(context, args, { isOnlyShown: true });
    using _owned = stack;
    const running = containers.filter((container) => container.state === "running");
    const tops = await Promise.all(
      running.map(async (container) => ({
        container,
        top: await stack.options.client.call("containerTop", { id: container.id }),
      })),
    );
    const [first] = tops;
    if (first === undefined) return 0;
    const head = ["SERVICE", "#", ...first.top.Titles].join("\t");
    const lines = tops.flatMap(({ container, top }) =>
      top.Processes.map((row) => [container.service, String(container.number), ...row].join("\t")),
    );
    context.output.print(alignColumns([head, ...lines], 4, 2));
    return 0;
  },
});
