import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { alignColumns } from "#cli/format/table.ts";

export const command = defineCommand({
  usage: "CONTAINER [ps OPTIONS]",
  flags: {},
  args: AT_LEAST_ONE,
  isInterspersed: false,
  completes: "running",
  run: async ({ context, args }) => {
    const [id = "", ...options] = args;
    const client = await context.client();
    const { Titles, Processes } = await client.call("containerTop", {
      id,
      query: options.length === 0 ? {} : { ps_args: options.join(" ") },
    });
    context.output.print(
      alignColumns(
        [Titles, ...Processes].map((row) => row.join("\t")),
        20,
        1,
      ),
    );
    return 0;
  },
});
