/** The commands behind `naru compose`; each file is loaded when it is called. */
import type { Entry } from "#cli/commands.ts";

const entry = (
  name: string,
  summary: string,
  load: NonNullable<Entry["load"]>,
  extra: Partial<Entry> = {},
): Entry => ({ name, summary, load, ...extra });

export const composeCommands: readonly Entry[] = [
  entry(
    "config",
    "Print the project as it was understood",
    () => import("#cli/compose/config.ts"),
    { aliases: ["convert"] },
  ),
  entry("version", "Print the version", () => import("#cli/compose/version.ts")),
];
