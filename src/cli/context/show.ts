import { defineCommand, NONE } from "#cli/framework/command.ts";

export const command = defineCommand({
  usage: "",
  flags: {},
  args: NONE,
  run: async ({ context }) => {
    const { context: name } = await context.host();
    context.output.line(name);
    return 0;
  },
});
