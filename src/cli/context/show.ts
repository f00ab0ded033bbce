import { defineCommand, NONE } from "#cli/framework/command.ts";

export const command = defineCommand({
  usage: "",
  flags: {},
  args: NONE,
  run: async ({ context }) => {
    context.output.line(await context.currentContext());
    return 0;
  },
});
