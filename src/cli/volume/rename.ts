import { defineCommand, TWO } from "#cli/framework/command.ts";

export const command = defineCommand({
  usage: "VOLUME NEW_NAME",
  flags: {},
  args: TWO,
  completes: "volumes",
  run: async ({ context, args }) => {
    const [name = "", newName = ""] = args;
    const client = await context.client();
    await client.call("volumeRename", { name, query: { name: newName } });
    return 0;
  },
});
