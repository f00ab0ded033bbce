/** Changing the user's config.json: everything else in it stays; never half of it is there. */
import { mkdirSync, realpathSync } from "node:fs";
import { dirname } from "node:path";
import type { CliContext, ConfigFile } from "#cli/context.ts";
import { writeFileAtomic } from "#lib/atomic-file.ts";

export const editConfig = async (
  context: CliContext,
  change: (config: ConfigFile) => ConfigFile,
): Promise<void> => {
  const path = `${context.configFolder}/config.json`;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const changed = change(await context.wholeConfig());
  // A link to the real file stays a link.
  const target = (await Bun.file(path).exists()) ? realpathSync(path) : path;
  writeFileAtomic(target, `${JSON.stringify(changed, undefined, "\t")}\n`, { mode: 0o600 });
};
