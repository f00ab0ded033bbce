/** A command that was found: its flags are read, it runs, its mistakes are explained. */
import type { Entry } from "#cli/framework/entry.ts";
import type { CliContext } from "#cli/context.ts";
import { isUsageError } from "#cli/framework/errors.ts";
import type { Flags } from "#cli/framework/flags.ts";
import type { Parsed } from "#cli/framework/parse.ts";
import { checkArguments, parseFlags } from "#cli/framework/parse.ts";
import { reportError } from "#cli/report.ts";

/** As docker: 125 for a bad flag, 1 for a wrong number of arguments or an unknown command. */
const usageExitCode = (error: unknown): number =>
  error instanceof Error && /^('naru|unknown command)/.test(error.message) ? 1 : 125;

/** `path` is the whole name; `rest` what follows it. The exit code. */
export const runEntry = async (
  context: CliContext,
  path: string,
  entry: Entry,
  rest: readonly string[],
): Promise<number> => {
  if (entry.load === undefined) throw new Error(`there is nothing to load for "${path}"`);
  context.commandPath = path;
  const { command } = await entry.load();
  const usage = `${path} ${command.usage}`.trimEnd();
  let parsed: Parsed<Flags>;
  try {
    parsed = parseFlags(command.flags, rest, command.isInterspersed ?? true);
    if (!parsed.isHelp) checkArguments(path, command.args, parsed.args.length);
  } catch (error) {
    await reportError(context, error, usage);
    return isUsageError(error) ? usageExitCode(error) : 1;
  }
  if (parsed.isHelp) {
    const { commandHelp } = await import("#cli/framework/help.ts");
    context.output.print(commandHelp(path, entry, command));
    return 0;
  }
  const { values: flags, args, changed } = parsed;
  return command.run({ context, flags, args, changed });
};
