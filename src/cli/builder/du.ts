import { defineCommand, NONE } from "#cli/framework/command.ts";
import { bool } from "#cli/framework/flags.ts";
import { humanSize } from "#cli/format/units.ts";
import { alignColumns } from "#cli/format/table.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: { json: bool("Print the records as JSON, one a line") },
  args: NONE,
  run: async ({ context, flags }) => {
    const client = await context.client();
    const { BuildCache } = await client.call("systemDf", { query: { type: ["build-cache"] } });
    const records = BuildCache ?? [];
    if (flags.json) {
      for (const record of records) context.output.line(JSON.stringify(record));
      return 0;
    }
    const rows = records.map((record) => [
      record.ID,
      record.Type,
      humanSize(record.Size),
      record.Shared ? "shared" : record.InUse ? "in use" : "",
      String(record.UsageCount),
      (record.Description ?? "").replaceAll(/\s+/g, " ").slice(0, 60),
    ]);
    const head = ["ID", "TYPE", "SIZE", "STATE", "USES", "DESCRIPTION"];
    context.output.print(alignColumns([head, ...rows].map((row) => row.join("\t"))));
    const total = records.reduce((sum, { Shared, Size }) => sum + (Shared ? 0 : Size), 0);
    context.output.line(`Total: ${humanSize(total)} that no image uses`);
    return 0;
  },
});
