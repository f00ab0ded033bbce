import { chooseOne } from "#cli/compose/chosen.ts";
import { delegate } from "#cli/compose/delegate.ts";
import { defineCommand, ONE } from "#cli/framework/command.ts";
import { bool, enabled, integer, text } from "#cli/framework/flags.ts";

export const command = defineCommand({
  usage: "[OPTIONS] SERVICE",
  flags: {
    "detach-keys": text("Override the key sequence for detaching from a container"),
    index: integer("The container with this number"),
    "no-stdin": bool("Do not attach STDIN"),
    "sig-proxy": enabled("Proxy all received signals to the process"),
  },
  args: ONE,
  run: async ({ context, flags, args }) => {
    const { index, ...others } = flags;
    const { stack, container } = await chooseOne(context, args[0] ?? "", index);
    stack.close();
    const { command: attach } = await import("#cli/container/attach.ts");
    return delegate(context, attach, [container.id], others);
  },
});
