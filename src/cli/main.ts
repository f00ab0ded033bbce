/**
 * The `naru` command line. `runCli` finds the command, reads its flags, runs it, and turns whatever
 * goes wrong into a message and an exit code. It returns when all output is written; the caller
 * ends the process (open connections are not waited for).
 *
 * The commands in EXTERNAL_COMMANDS are shown in help but carried out by the program's entry.
 */
import { PLANNED, commandTree } from "#cli/commands.ts";
import { type Entry, findEntry } from "#cli/framework/entry.ts";
import { CliContext } from "#cli/context.ts";
import { runEntry } from "#cli/framework/dispatch.ts";
import { exitCodeOf, usageError } from "#cli/framework/errors.ts";
import { parseFlags } from "#cli/framework/parse.ts";
import { globalFlags } from "#cli/globals.ts";
import type { GlobalFlagValues } from "#cli/globals.ts";
import { reportError } from "#cli/report.ts";

export interface ExternalCommand {
  /** The words that name it. */
  readonly name: string;
  readonly usage: string;
  readonly help: string;
}

/** What the entry runs itself, before it calls `runCli`; here are only the words for `--help`. */
export const EXTERNAL_COMMANDS: readonly ExternalCommand[] = [
  {
    name: "daemon",
    usage:
      "[--host unix://PATH|tcp://ADDRESS:PORT]... [--data-root DIR] [--exec-root DIR] [--config-file FILE]",
    help:
      "Runs the engine in the foreground. Writes `ready` and its addresses to standard output when it " +
      "accepts requests. SIGTERM stops it and leaves containers running.",
  },
  {
    name: "registry",
    usage: "serve [--addr ADDRESS:PORT] [--data-root DIR]",
    help: "Runs an image registry in the foreground. Not part of this version yet.",
  },
  ...PLANNED.map((name) => ({ name, usage: "", help: "It comes with a later one." })),
  {
    name: "service",
    usage: "install",
    help: "Installs the engine as a service that starts with this machine.",
  },
  {
    name: "doctor",
    usage: "",
    help: "Checks what containers need of this machine, and says how to put right what is missing.",
  },
  {
    name: "system reset",
    usage: "--data-root DIR [--exec-root DIR] [-f]",
    help: "Removes every trace of the engine with that data root: containers, images, networks, files.",
  },
];

interface Target {
  readonly path: string;
  readonly entry: Entry;
  readonly rest: readonly string[];
}

const unknownCommand = async (
  context: CliContext,
  path: string,
  known: readonly Entry[],
  word: string,
): Promise<Error> => {
  const { suggest } = await import("#cli/framework/suggest.ts");
  const names = known.filter((item) => item.isHidden !== true).map((item) => item.name);
  const near = suggest(word, names);
  const hint = near === undefined ? "" : `\n\nDid you mean '${path} ${near}'?`;
  context.commandPath = path;
  return usageError(`unknown command: ${path} ${word}${hint}`);
};

/** Walks down the tree; `rest` is what follows the command's name. */
const findTarget = async (
  context: CliContext,
  argv: readonly string[],
): Promise<Target | undefined> => {
  let entries = commandTree;
  let path = "naru";
  for (const [at, word] of argv.entries()) {
    const found = findEntry(entries, word);
    if (found === undefined) throw await unknownCommand(context, path, entries, word);
    path = `${path} ${found.aliases?.includes(word) === true ? word : found.name}`;
    const rest = argv.slice(at + 1);
    const isLeaf = found.children === undefined;
    if (isLeaf || rest.length === 0 || rest[0]?.startsWith("-") === true) {
      return { path, entry: found, rest };
    }
    entries = found.children;
  }
  return undefined;
};

const explainExternal = (context: CliContext, target: Target): number => {
  const found = EXTERNAL_COMMANDS.find(({ name }) => target.path === `naru ${name}`);
  const usage = `Usage:  ${target.path} ${found?.usage ?? ""}`.trimEnd();
  if (target.rest.includes("--help") || target.rest.includes("-h")) {
    context.output.line(`${usage}\n\n${found?.help ?? ""}`);
    return 0;
  }
  if (!PLANNED.some((name) => target.path === `naru ${name}`)) {
    throw usageError(
      `'${target.path}' takes no flags in front of its name: write '${target.path}' first`,
    );
  }
  throw usageError(`'${target.path}' is not there in this version. ${found?.help ?? ""}`);
};

const dispatch = async (context: CliContext, target: Target | undefined): Promise<number> => {
  if (target === undefined) {
    const { rootHelp } = await import("#cli/framework/help.ts");
    context.output.print(rootHelp(commandTree, globalFlags));
    return 0;
  }
  context.commandPath = target.path;
  if (target.entry.isExternal === true) return explainExternal(context, target);
  if (target.entry.load === undefined) {
    const { groupHelp } = await import("#cli/framework/help.ts");
    context.output.print(groupHelp(target.path, target.entry));
    return 0;
  }
  return runEntry(context, target.path, target.entry, target.rest);
};

const readGlobals = (
  argv: readonly string[],
): { values: GlobalFlagValues; rest: readonly string[]; isHelp: boolean } => {
  const parsed = parseFlags(globalFlags, argv, false);
  return { values: parsed.values, rest: parsed.args, isHelp: parsed.isHelp };
};

const runWords = async (context: CliContext, words: readonly string[]): Promise<number> => {
  const [first, ...others] = words;
  if (first !== "help") return dispatch(context, await findTarget(context, words));
  const target = await findTarget(context, others);
  return dispatch(context, target === undefined ? undefined : { ...target, rest: ["--help"] });
};

/** Runs `naru ARGV…`; resolves to the exit code with everything written. Never rejects. */
export const runCli = async (argv: readonly string[]): Promise<number> => {
  let context = new CliContext(parseFlags(globalFlags, []).values, process.env);
  let exitCode: number;
  let isGlobalMistake = true;
  try {
    const globals = readGlobals(argv);
    isGlobalMistake = false;
    context = new CliContext(globals.values, process.env);
    if (globals.values.version) {
      const { VERSION } = await import("#lib/version.ts");
      context.output.line(`naru version ${VERSION}`);
      exitCode = 0;
    } else {
      exitCode = await runWords(context, globals.isHelp ? [] : globals.rest);
    }
    await context.output.flush();
  } catch (error) {
    exitCode = exitCodeOf(error) ?? (isGlobalMistake ? 125 : 1);
    await reportError(context, error, undefined);
  }
  return exitCode;
};
