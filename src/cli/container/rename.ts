import { defineCommand, TWO } from "#cli/framework/command.ts";
import { exitError, usageError } from "#cli/framework/errors.ts";
import { errorText } from "#cli/report.ts";

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
    try {
      await client.call("containerRename", { id, query: { name } });
    } catch (error) {
      context.output.error(errorText(error));
      throw exitError(1, `Error: failed to rename container named ${id}`);
    }
    return 0;
  },
});
