import { chooseOne } from "#cli/compose/chosen.ts";
import { delegate } from "#cli/compose/delegate.ts";
import { defineCommand, ONE } from "#cli/framework/command.ts";
import { integer, text } from "#cli/framework/flags.ts";

export const command = defineCommand({
  usage: "[OPTIONS] SERVICE",
  description: "Writes the files of a service's container as a tar archive.",
  flags: {
    index: integer("The container with this number"),
    output: text("Write to a file, instead of STDOUT", "o", { completes: "files" }),
  },
  args: ONE,
  run: async ({ context, flags, args }) => {
    const { stack, container } = await chooseOne(context, args[0] ?? "", flags.index);
    stack.close();
    const { command: save } = await import("#cli/container/export.ts");
    return delegate(context, save, [container.id], { output: flags.output });
  },
});
