import type { Client } from "#client/client.ts";
import type { PruneResponse } from "#client/system-types.ts";
import { humanSize } from "#cli/format/units.ts";
import { defineCommand, NONE } from "#cli/framework/command.ts";
import { bool, filter } from "#cli/framework/flags.ts";
import type { FilterMap } from "#cli/framework/flags.ts";
import { describePruned, queryFor } from "#cli/prune.ts";
import { confirm } from "#cli/terminal/confirm.ts";
import { isAnswer } from "#client/errors.ts";

interface Choice {
  readonly isAll: boolean;
  readonly hasVolumes: boolean;
  readonly filters: FilterMap;
}

const warningFor = ({ isAll, hasVolumes, filters }: Choice): string => {
  const lines = [
    "all stopped containers",
    "all networks not used by at least one container",
    ...(hasVolumes ? ["all anonymous volumes not used by at least one container"] : []),
    isAll ? "all images without at least one container associated to them" : "all dangling images",
    isAll ? "all build cache" : "unused build cache",
  ];
  const items = lines.map((line) => `  - ${line}`).join("\n");
  const conditions = Object.entries(filters).flatMap(([key, values]) =>
    values.map((value) => `  - ${key}=${value}`),
  );
  const limit =
    conditions.length === 0
      ? ""
      : `\n\nItems to be pruned will be filtered with:\n${conditions.join("\n")}`;
  return `This will remove:\n${items}${limit}\n`;
};

/** Kinds that this engine does not have (yet) are passed over. */
const orNothing = async (prune: Promise<PruneResponse>): Promise<PruneResponse> => {
  try {
    return await prune;
  } catch (error) {
    const status = isAnswer(error) ? error.details["status"] : undefined;
    if (status === 404 || status === 501) return {};
    throw error;
  }
};

async function* pruneAll(client: Client, choice: Choice): AsyncGenerator<PruneResponse> {
  const query = queryFor(choice.filters);
  yield await client.call("containerPrune", { query });
  yield await orNothing(client.call("networkPrune", { query }));
  if (choice.hasVolumes) yield await client.call("volumePrune", { query });
  const filters = { ...choice.filters, dangling: [String(!choice.isAll)] };
  yield await client.call("imagePrune", { query: { filters } });
  yield await orNothing(client.call("buildPrune", { query: { all: choice.isAll, ...query } }));
}

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: {
    all: bool("Remove all unused images not just dangling ones", "a"),
    filter: filter('Provide filter values (e.g. "label=<key>=<value>")', ""),
    force: bool("Do not prompt for confirmation", "f"),
    volumes: bool("Prune anonymous volumes"),
  },
  args: NONE,
  run: async ({ context, flags }) => {
    const choice = { isAll: flags.all, hasVolumes: flags.volumes, filters: flags.filter };
    if (!flags.force && !(await confirm(context, warningFor(choice)))) return 0;
    const client = await context.client();
    client.beginRemoval();
    let reclaimed = 0;
    for await (const answer of pruneAll(client, choice)) {
      reclaimed += answer.SpaceReclaimed ?? 0;
      context.output.print(describePruned(answer));
    }
    context.output.line(`Total reclaimed space: ${humanSize(reclaimed)}`);
    return 0;
  },
});
