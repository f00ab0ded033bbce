import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { usageError } from "#cli/framework/errors.ts";
import { bool, text } from "#cli/framework/flags.ts";
import { joinContainer } from "#cli/container/attach-running.ts";
import { forEachName } from "#cli/container/each.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: {
    attach: bool("Attach STDOUT/STDERR and forward signals", "a"),
    "detach-keys": text("Override the key sequence for detaching a container"),
    interactive: bool("Attach container's STDIN", "i"),
  },
  args: AT_LEAST_ONE,
  completes: "containers",
  run: async ({ context, flags, args }) => {
    const client = await context.client();
    const [id = ""] = args;
    if (flags.attach || flags.interactive) {
      if (args.length > 1)
        throw usageError("you cannot start and attach multiple containers at once");
      const container = await client.call("containerInspect", { id });
      return joinContainer({
        context,
        client,
        container,
        hasInput: flags.interactive,
        hasSignalProxy: true,
        detachKeys: flags["detach-keys"],
        start: () => client.call("containerStart", { id: container.Id }),
      });
    }
    const { exitCode, failed } = await forEachName(context, args, (name) =>
      client.call("containerStart", { id: name }),
    );
    if (failed.length > 0) {
      context.output.error(`Error: failed to start containers: ${failed.join(", ")}`);
    }
    return exitCode;
  },
});
