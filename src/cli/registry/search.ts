import { renderListing } from "#cli/format/listing.ts";
import { defineCommand, ONE } from "#cli/framework/command.ts";
import { bool, filter, format, integer } from "#cli/framework/flags.ts";
import { registryAuthHeader } from "#cli/registry/credentials.ts";

const TEMPLATE = "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}";
const HEADERS = {
  Name: "NAME",
  Description: "DESCRIPTION",
  StarCount: "STARS",
  IsOfficial: "OFFICIAL",
  IsAutomated: "AUTOMATED",
};
const DESCRIPTION_MAX = 45;

const shortened = (text: string): string => {
  const line = text.replaceAll(/[\r\n]+/g, " ");
  return line.length <= DESCRIPTION_MAX ? line : `${line.slice(0, DESCRIPTION_MAX - 1)}…`;
};

const mark = (value: boolean): string => (value ? "[OK]" : "");

export const command = defineCommand({
  usage: "[OPTIONS] TERM",
  flags: {
    filter: filter("Filter output based on conditions provided"),
    format: format(),
    limit: integer("Max number of search results"),
    "no-trunc": bool("Don't truncate output"),
  },
  args: ONE,
  run: async ({ context, flags, args }) => {
    const [term = ""] = args;
    const client = await context.client();
    const found = await client.call("imageSearch", {
      query: {
        term,
        limit: flags.limit,
        ...(Object.keys(flags.filter).length === 0 ? {} : { filters: flags.filter }),
      },
      headers: await registryAuthHeader(context, term),
    });
    const rows = found
      .toSorted((a, b) => b.star_count - a.star_count)
      .map((item) => ({
        Name: item.name,
        Description: flags["no-trunc"] ? item.description : shortened(item.description),
        StarCount: String(item.star_count),
        IsOfficial: mark(item.is_official),
        IsAutomated: mark(item.is_automated),
      }));
    context.output.print(
      renderListing({ defaultTemplate: TEMPLATE, headers: HEADERS, rows, format: flags.format }),
    );
    return 0;
  },
});
