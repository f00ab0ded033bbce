import { Client } from "#client/client.ts";
import { listContexts } from "#client/contexts.ts";
import { commandTree } from "#cli/commands.ts";
import { type Entry, findEntry } from "#cli/framework/entry.ts";
import type { CliContext } from "#cli/context.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import type { Completion, Flag, Flags } from "#cli/framework/flags.ts";
import { globalFlags } from "#cli/globals.ts";

const FILES = ":files";

const withoutSlash = (name: string): string => name.replace(/^\//, "");

/** Names of what exists; asks the engine but never starts one. */
const namesOf = async (context: CliContext, what: Completion): Promise<string[]> => {
  if (typeof what !== "string") return [...what];
  if (what === "files") return [FILES];
  if (what === "contexts") {
    return ["default", ...(await listContexts(context.configFolder)).map(({ Name }) => Name)];
  }
  const { address } = await context.host();
  const client = new Client(address);
  switch (what) {
    case "containers":
    case "running": {
      const list = await client.call("containerList", { query: { all: what === "containers" } });
      return list.flatMap((container) => container.Names.map(withoutSlash));
    }
    case "images": {
      const list = await client.call("imageList", {});
      return list
        .flatMap((image) => image.RepoTags ?? [])
        .filter((tag) => !tag.startsWith("<none>"));
    }
    case "volumes":
      return ((await client.call("volumeList", {})).Volumes ?? []).map((volume) => volume.Name);
    case "networks":
      return (await client.call("networkList", {})).map((network) => network.Name);
  }
};

const flagNames = (flags: Flags): string[] =>
  Object.entries(flags)
    .filter(([, flag]) => flag.isHidden !== true)
    .map(([name, flag]) => `--${name}\t${flag.help.split("\n")[0] ?? ""}`);

const entryNames = (entries: readonly Entry[]): string[] =>
  entries
    .filter((entry) => entry.isHidden !== true)
    .map((entry) => `${entry.name}\t${entry.summary}`);

const findFlag = (flags: Flags, word: string): Flag<unknown> | undefined => {
  if (word.startsWith("--")) return flags[word.slice(2)];
  const letter = /^-\w*(\w)$/.exec(word)?.[1];
  return Object.values(flags).find((flag) => letter !== undefined && flag.short === letter);
};

interface Place {
  readonly entries: readonly Entry[];
  readonly entry: Entry | undefined;
  readonly rest: readonly string[];
}

/** Which command the words before the cursor name. */
const walk = (words: readonly string[]): Place => {
  let entries = commandTree;
  let entry: Entry | undefined;
  let at = 0;
  for (; at < words.length; at += 1) {
    const word = words[at] ?? "";
    if (entry === undefined && word.startsWith("-")) {
      const flag = findFlag(globalFlags, word);
      if (flag !== undefined && !flag.isBoolean && !word.includes("=")) at += 1;
      continue;
    }
    const found = findEntry(entries, word);
    if (found === undefined) break;
    entry = found;
    if (found.children === undefined) {
      at += 1;
      break;
    }
    entries = found.children;
  }
  return { entries, entry, rest: words.slice(at) };
};

/** Behind `compose` stand flags and then a command of its own table. */
const composePlace = async (rest: readonly string[]): Promise<Place> => {
  const [{ composeCommands }, { composeFlags }] = await Promise.all([
    import("#cli/compose/commands.ts"),
    import("#cli/compose/globals.ts"),
  ]);
  for (let at = 0; at < rest.length; at += 1) {
    const word = rest[at] ?? "";
    if (!word.startsWith("-")) {
      const entry = findEntry(composeCommands, word);
      return { entries: composeCommands, entry, rest: rest.slice(at + 1) };
    }
    const flag = findFlag(composeFlags, word);
    if (flag !== undefined && !flag.isBoolean && !word.includes("=")) at += 1;
  }
  return { entries: composeCommands, entry: undefined, rest };
};

const candidates = async (
  context: CliContext,
  before: readonly string[],
  current: string,
): Promise<string[]> => {
  const first = walk(before);
  const place = first.entry?.name === "compose" ? await composePlace(first.rest) : first;
  const { entries, entry, rest } = place;
  const isCompose = first.entry?.name === "compose";
  if (isCompose && entry === undefined && !current.startsWith("-")) return entryNames(entries);
  if (entry?.load === undefined && !isCompose) {
    if (entry?.isExternal === true) return [FILES];
    return current.startsWith("-") ? flagNames(globalFlags) : entryNames(entries);
  }
  const load = (entry ?? first.entry)?.load;
  if (load === undefined) return [];
  const { command } = await load();
  const previous = rest.at(-1) ?? "";
  const pending = previous.startsWith("-") ? findFlag(command.flags, previous) : undefined;
  if (pending !== undefined && !pending.isBoolean && !previous.includes("=")) {
    return pending.completes === undefined ? [] : namesOf(context, pending.completes);
  }
  if (current.startsWith("-")) return flagNames(command.flags);
  return command.completes === undefined ? [] : namesOf(context, command.completes);
};

export const command = defineCommand({
  usage: "-- WORDS...",
  flags: {},
  args: ANY,
  isInterspersed: false,
  run: async ({ context, args }) => {
    const current = args.at(-1) ?? "";
    const found = await candidates(context, args.slice(0, -1), current);
    for (const line of found) {
      if (line === FILES || line.startsWith(current)) context.output.line(line);
    }
    return 0;
  },
});
