import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { bool } from "#cli/framework/flags.ts";
import { forEachName, NOTHING } from "#cli/container/each.ts";
import { hasCode } from "#lib/errors.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: {
    force: bool("Remove a running container too (with SIGKILL)", "f"),
    link: bool("Remove the specified link", "l"),
    volumes: bool("Remove the container's anonymous volumes", "v"),
  },
  args: AT_LEAST_ONE,
  completes: "containers",
  run: async ({ context, flags, args }) => {
    const client = await context.client();
    client.beginRemoval();
    const query = { force: flags.force, link: flags.link, v: flags.volumes };
    const { exitCode } = await forEachName(context, args, async (name) => {
      const id = name.replace(/^\/+/, "");
      try {
        await client.call("containerRemove", { id, query });
      } catch (error) {
        // Forcing something away that is not there is no failure, but it is said.
        if (!flags.force || !hasCode(error, "not_found")) throw error;
        context.output.error(
          error instanceof Error ? `Error response from daemon: ${error.message}` : "",
        );
        return NOTHING;
      }
      return name;
    });
    return exitCode;
  },
});
