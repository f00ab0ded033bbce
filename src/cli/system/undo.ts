import type { CliContext } from "#cli/context.ts";
import { renderListing } from "#cli/format/listing.ts";
import { ago } from "#cli/format/time.ts";
import { humanSize } from "#cli/format/units.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { usageError } from "#cli/framework/errors.ts";
import { format } from "#cli/framework/flags.ts";
import { errorText } from "#cli/report.ts";

const list = async (context: CliContext, template: string | undefined): Promise<number> => {
  const client = await context.client();
  const { Items } = await client.call("trashList", {});
  context.output.print(
    renderListing({
      defaultTemplate: "{{.ID}}\t{{.Kind}}\t{{.Name}}\t{{.Removed}}\t{{.Until}}\t{{.Size}}",
      headers: {
        ID: "ID",
        Kind: "KIND",
        Name: "NAME",
        Removed: "REMOVED",
        Until: "UNTIL",
        Size: "SIZE",
      },
      rows: Items.map((item) => ({
        ID: () => item.Id,
        Kind: () => item.Kind,
        Name: () => item.Name,
        Removed: () => ago(Date.parse(item.RemovedAt) / 1000),
        Until: () => item.ExpiresAt.slice(0, 16).replace("T", " "),
        Size: () => humanSize(item.Size),
      })),
      format: template,
    }),
  );
  return 0;
};

const empty = async (context: CliContext): Promise<number> => {
  const client = await context.client();
  const { Count, SpaceReclaimed } = await client.call("trashEmpty", {});
  context.output.line(`Removed for good: ${Count}, ${humanSize(SpaceReclaimed)}`);
  return 0;
};

/** `undefined`: what the last command removed. */
const undo = async (context: CliContext, name: string | undefined): Promise<boolean> => {
  const client = await context.client();
  try {
    const { Restored, Failed } = await client.call("trashUndo", { query: { name } });
    for (const { Kind, Name } of Restored) context.output.line(`${Kind} ${Name}`);
    for (const { Kind, Name, Error } of Failed) context.output.error(`${Kind} ${Name}: ${Error}`);
    return Failed.length === 0;
  } catch (error) {
    context.output.error(errorText(error));
    return false;
  }
};

export const command = defineCommand({
  usage: "[ID|NAME...] | list | empty",
  flags: { format: format() },
  args: ANY,
  run: async ({ context, flags, args }) => {
    const [first] = args;
    if (first === "list" || first === "empty") {
      if (args.length > 1) throw usageError(`"${first}" stands alone`);
      return first === "list" ? list(context, flags.format) : empty(context);
    }
    let isGood = true;
    // One after the other: a container may need the volume that was named before it.
    for (const name of args.length === 0 ? [undefined] : args) {
      // oxlint-disable-next-line no-await-in-loop -- see above
      isGood = (await undo(context, name)) && isGood;
    }
    return isGood ? 0 : 1;
  },
});
