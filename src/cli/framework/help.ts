/** Help pages in docker's layout: usage, text, commands or options in aligned columns. */
import type { Entry } from "#cli/framework/entry.ts";
import type { Command } from "#cli/framework/command.ts";
import type { Flag, Flags } from "#cli/framework/flags.ts";

const WIDTH = 100;

const wrap = (words: string, width: number): string[] => {
  const lines: string[] = [];
  for (const paragraph of words.split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ")) {
      if (line !== "" && line.length + 1 + word.length > width) {
        lines.push(line);
        line = word;
      } else {
        line = line === "" ? word : `${line} ${word}`;
      }
    }
    lines.push(line);
  }
  return lines;
};

const flagHead = (name: string, flag: Flag<unknown>): string => {
  const short = flag.short === undefined ? "    " : `-${flag.short}, `;
  return `  ${short}--${name}${flag.type === "" ? "" : ` ${flag.type}`}`;
};

export const flagLines = (flags: Flags): string[] => {
  const shown = Object.entries(flags)
    .filter(([, flag]) => flag.isHidden !== true)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  const heads = shown.map(([name, flag]) => flagHead(name, flag));
  const column = Math.max(0, ...heads.map((head) => head.length)) + 3;
  return shown.flatMap(([, flag], at) => {
    const suffix = flag.shownDefault === undefined ? "" : ` (default ${flag.shownDefault})`;
    const lines = wrap(flag.help + suffix, Math.max(30, WIDTH - column));
    return lines.map((line, row) => (row === 0 ? (heads[at] ?? "") : "").padEnd(column) + line);
  });
};

const entryLines = (entries: readonly Entry[]): string[] => {
  const column = Math.max(11, ...entries.map((entry) => entry.name.length)) + 1;
  return entries.map((entry) => `  ${entry.name.padEnd(column)}${entry.summary}`);
};

const aliasesOf = (path: string, entry: Entry): string[] => {
  const names = [path, ...(entry.alsoAs ?? []).map((other) => `naru ${other}`)];
  const parent = path.split(" ").slice(0, -1).join(" ");
  names.push(...(entry.aliases ?? []).map((alias) => `${parent} ${alias}`));
  return [...new Set(names)];
};

/** `path` is the whole name: "naru container run". */
export const commandHelp = (path: string, entry: Entry, command: Command): string => {
  const parts = [`Usage:  ${path} ${command.usage}`.trimEnd(), entry.summary];
  if (command.description !== undefined) parts.push(wrap(command.description, WIDTH).join("\n"));
  const aliases = aliasesOf(path, entry);
  if (aliases.length > 1) parts.push(`Aliases:\n  ${aliases.join(", ")}`);
  if (command.examples !== undefined) {
    parts.push(`Examples:\n${command.examples.map((line) => `  ${line}`).join("\n")}`);
  }
  const options = flagLines(command.flags);
  if (options.length > 0) parts.push(`Options:\n${options.join("\n")}`);
  return `${parts.join("\n\n")}\n`;
};

export const groupHelp = (path: string, entry: Entry): string => {
  const children = (entry.children ?? []).filter((child) => child.isHidden !== true);
  return [
    `Usage:  ${path} COMMAND`,
    entry.summary,
    `Commands:\n${entryLines(children).join("\n")}`,
    `Run '${path} COMMAND --help' for more information on a command.\n`,
  ].join("\n\n");
};

export const rootHelp = (entries: readonly Entry[], globals: Flags): string => {
  const visible = entries.filter((entry) => entry.isHidden !== true);
  const section = (title: string, chosen: readonly Entry[]): string =>
    `${title}:\n${entryLines(chosen).join("\n")}`;
  const isCommon = (entry: Entry): boolean => entry.isCommon === true;
  const isGroup = (entry: Entry): boolean => entry.children !== undefined;
  return [
    "Usage:  naru [OPTIONS] COMMAND",
    "Containers, images and all they need, from one binary",
    section("Common Commands", visible.filter(isCommon)),
    section("Management Commands", visible.filter(isGroup)),
    section(
      "Commands",
      visible.filter((entry) => !isCommon(entry) && !isGroup(entry)),
    ),
    `Global Options:\n${flagLines(globals).join("\n")}`,
    "Run 'naru COMMAND --help' for more information on a command.\n",
  ].join("\n\n");
};
