import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { knownList, listName, removeList } from "#cli/manifest/list-file.ts";

export const command = defineCommand({
  usage: "MANIFEST_LIST [MANIFEST_LIST...]",
  description: "Forget lists that were made here. What was pushed stays.",
  flags: {},
  args: AT_LEAST_ONE,
  run: async ({ context, args }) => {
    for (const name of args.map(listName)) {
      await knownList(context, name);
      removeList(context, name);
      context.output.line(name);
    }
    return 0;
  },
});
