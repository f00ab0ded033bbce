import { defineCommand, TWO } from "#cli/framework/command.ts";
import { usageError } from "#cli/framework/errors.ts";

export const command = defineCommand({
  usage: "CONTAINER NEW_NAME",
  flags: {},
  args: TWO,
  completes: "containers",
  run: async ({ context, args }) => {
    const [id = "", name = ""] = args.map((arg) => arg.trim());
    if (id === "" || name === "") {
      throw usageError("neither the old nor the new name of the container may be empty");
    }
    const client = await context.client();
    await client.call("containerRename", { id, query: { name } });
    return 0;
  },
});
