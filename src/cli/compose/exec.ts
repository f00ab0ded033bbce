import { chooseOne } from "#cli/compose/chosen.ts";
import { delegate } from "#cli/compose/delegate.ts";
import { defineCommand } from "#cli/framework/command.ts";
import { bool, enabled, integer, list, text } from "#cli/framework/flags.ts";
import { isInputTerminal } from "#cli/terminal/stdin.ts";

export const command = defineCommand({
  usage: "[OPTIONS] SERVICE COMMAND [ARGS...]",
  flags: {
    detach: bool("Run the command in the background", "d"),
    env: list("Set environment variables", "e"),
    index: integer("The container with this number"),
    interactive: enabled("Keep STDIN open", { short: "i", isHidden: true }),
    "no-tty": bool("Do not allocate a pseudo-TTY", "T"),
    privileged: bool("Give extended privileges to the command"),
    tty: enabled("Allocate a pseudo-TTY where there is a terminal", { short: "t", isHidden: true }),
    user: text("Run the command as this user", "u"),
    workdir: text("Working directory inside the container", "w"),
  },
  args: { min: 2, max: Number.POSITIVE_INFINITY },
  isInterspersed: false,
  run: async ({ context, flags, args }) => {
    const [service = "", ...words] = args;
    const { stack, container } = await chooseOne(context, service, flags.index);
    using _owned = stack;
    const [{ command: exec }, hasTerminal] = await Promise.all([
      import("#cli/container/exec.ts"),
      isInputTerminal(),
    ]);
    const isWanted = flags.tty && !flags["no-tty"] && hasTerminal;
    const isTty = isWanted && (await context.output.isTerminal("stdout"));
    return await delegate(context, exec, [container.id, ...words], {
      detach: flags.detach,
      env: flags.env,
      interactive: flags.interactive,
      privileged: flags.privileged,
      tty: isTty,
      ...(flags.user === undefined ? {} : { user: flags.user }),
      ...(flags.workdir === undefined ? {} : { workdir: flags.workdir }),
    });
  },
});
