import type { Client } from "#client/client.ts";
import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { usageError } from "#cli/framework/errors.ts";
import { bool, text } from "#cli/framework/flags.ts";
import { inspectObjects } from "#cli/inspect-objects.ts";
import { hasCode, NaruError } from "#lib/errors.ts";

type Finder = (client: Client, name: string, size: boolean) => Promise<unknown>;

const FINDERS: Readonly<Record<string, Finder>> = {
  container: (client, id, size) => client.call("containerInspect", { id, query: { size } }),
  image: (client, name) => client.call("imageInspect", { name }),
  network: (client, id) => client.call("networkInspect", { id }),
  volume: (client, name) => client.call("volumeInspect", { name }),
};

/** Docker's other kinds, which naru does not have. */
const FOREIGN = new Set(["config", "node", "plugin", "secret", "service", "task"]);

const findAny: Finder = async (client, name, size) => {
  for (const find of Object.values(FINDERS)) {
    try {
      return await find(client, name, size);
    } catch (error) {
      if (!hasCode(error, "not_found")) throw error;
    }
  }
  throw new NaruError("not_found", `Error: No such object: ${name}`);
};

export const command = defineCommand({
  usage: "[OPTIONS] NAME|ID [NAME|ID...]",
  flags: {
    format: text('Format output: "json" or a Go template', "f"),
    size: bool("Display total file sizes if the type is container", "s"),
    type: text("Only inspect objects of the given type", undefined, {
      completes: Object.keys(FINDERS),
    }),
  },
  args: AT_LEAST_ONE,
  completes: "containers",
  run: async ({ context, flags, args, changed }) => {
    const { type } = flags;
    if (changed.has("type") && type === "")
      throw usageError('type is empty: must be one of "container", "image", "network", "volume"');
    if (type !== undefined && FOREIGN.has(type)) {
      throw usageError(`"${type}" objects do not exist here: naru has no swarm and no plugins`);
    }
    const find = type === undefined ? findAny : FINDERS[type];
    if (find === undefined) {
      throw usageError(
        `unknown type: "${type ?? ""}": must be one of "container", "image", "network", "volume"`,
      );
    }
    const client = await context.client();
    return inspectObjects(context, args, flags.format, (name) => find(client, name, flags.size));
  },
});
