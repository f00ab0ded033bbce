/** `naru compose [FLAGS] COMMAND`: flags first, then a command of its own table. */
import { composeCommands } from "#cli/compose/commands.ts";
import { composeFlags } from "#cli/compose/globals.ts";
import { setComposeFlags } from "#cli/compose/state.ts";
import { findEntry } from "#cli/framework/entry.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { runEntry } from "#cli/framework/dispatch.ts";
import { usageError } from "#cli/framework/errors.ts";
import { commandHelp } from "#cli/framework/help.ts";
import { suggest } from "#cli/framework/suggest.ts";

const commandLines = (): string =>
  composeCommands
    .filter((entry) => entry.isHidden !== true)
    .map((entry) => `  ${entry.name.padEnd(12)}${entry.summary}`)
    .join("\n");

export const command = defineCommand({
  usage: "[OPTIONS] COMMAND",
  description: `Commands:\n${commandLines()}`,
  flags: composeFlags,
  args: ANY,
  isInterspersed: false,
  run: async ({ context, flags, args }) => {
    const [first = "help", ...others] = args;
    const path = context.commandPath;
    const name = first === "help" ? others[0] : first;
    if (name === undefined) {
      const entry = { name: "compose", summary: "Run applications of many containers" };
      context.output.print(commandHelp(path, entry, command));
      return 0;
    }
    const found = findEntry(composeCommands, name);
    if (found === undefined) {
      const near = suggest(
        name,
        composeCommands.map((entry) => entry.name),
      );
      const hint = near === undefined ? "" : `\n\nDid you mean '${path} ${near}'?`;
      throw usageError(`unknown command: ${path} ${name}${hint}`);
    }
    setComposeFlags(context, flags);
    const rest = first === "help" ? ["--help"] : others;
    return runEntry(context, `${path} ${found.name}`, found, rest);
  },
});
