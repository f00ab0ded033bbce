import { chooseContainers } from "#cli/compose/chosen.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { bool } from "#cli/framework/flags.ts";
import { confirm } from "#cli/terminal/confirm.ts";
import { removeContainer, stopContainer } from "#compose/containers.ts";

export const command = defineCommand({
  usage: "[OPTIONS] [SERVICE...]",
  flags: {
    all: bool("As docker compose: says nothing; those of 'run' are never among them", "a", {
      isHidden: true,
    }),
    force: bool("Do not ask", "f"),
    stop: bool("Stop running containers first", "s"),
    volumes: bool("Remove their anonymous volumes too", "v"),
  },
  args: ANY,
  run: async ({ context, flags, args }) => {
    (await context.client()).beginRemoval();
    const { stack, screen, containers } = await chooseContainers(context, args);
    using _owned = stack;
    const isStopped = (state: string): boolean => state !== "running" && state !== "paused";
    const chosen = containers.filter((container) => flags.stop || isStopped(container.state));
    if (chosen.length === 0) {
      context.output.error("No stopped containers");
      return 0;
    }
    const names = chosen.map((container) => container.name).join(", ");
    if (!flags.force && !(await confirm(context, `Going to remove ${names}`))) return 1;
    await Promise.all(
      chosen.map(async (container) => {
        const subject = `Container ${container.name}`;
        if (!isStopped(container.state)) await stopContainer(stack, container);
        screen.show({ subject, status: "Removing", phase: "begin" });
        await removeContainer(stack, container, flags.volumes);
        screen.show({ subject, status: "Removed", phase: "done" });
      }),
    );
    await screen.finish();
    return 0;
  },
});
