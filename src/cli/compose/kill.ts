import type { ObservedContainer } from "#compose/compose.ts";
import { removeContainer } from "#compose/containers.ts";
import { findProject } from "#cli/compose/project.ts";
import { eachContainer } from "#cli/compose/each-container.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { bool, text } from "#cli/framework/flags.ts";

export const command = defineCommand({
  usage: "[OPTIONS] [SERVICE...]",
  flags: {
    "remove-orphans": bool("Kill and remove containers of services that are not in the files too"),
    signal: text("The signal to send", "s", { shownDefault: "SIGKILL" }),
  },
  args: ANY,
  run: async ({ context, flags, args }) => {
    const { project } = await findProject(context);
    /** Without the files nothing is known to be an orphan. */
    const isOrphan = ({ service, isOneOff }: ObservedContainer): boolean =>
      project !== undefined &&
      !isOneOff &&
      !(service in project.model.services) &&
      !(service in project.disabled);
    const killed = await eachContainer(context, args, {
      words: ["Killing", "Killed"],
      order: "none",
      isMeant: ({ state }) => state === "running" || state === "paused",
      act: (stack, { id }) =>
        stack.options.client.call("containerKill", { id, query: { signal: flags.signal } }),
    });
    if (!flags["remove-orphans"]) {
      if (killed === 0) context.output.error("no container to kill");
      return 0;
    }
    await eachContainer(context, [], {
      words: ["Removing", "Removed"],
      order: "none",
      isOnlyShown: true,
      isMeant: isOrphan,
      act: (stack, container) => removeContainer(stack, container, false),
    });
    return 0;
  },
});
