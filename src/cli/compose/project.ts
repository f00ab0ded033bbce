/** The project the command line means, read from its files. */
import { existsSync, readFileSync, statSync } from "node:fs";
import type { CliContext } from "#cli/context.ts";
import { composeFlagsOf } from "#cli/compose/state.ts";
import type { LoadOptions, Project } from "#spec/compose/compose.ts";
import { resolveInputs, STDIN } from "#spec/compose/inputs.ts";
import { loadProject } from "#spec/compose/load.ts";
import { NaruError } from "#lib/errors.ts";

let stdin: string | undefined;

const readText = (path: string): string | undefined => {
  if (path.endsWith(`/${STDIN}`) && !existsSync(path)) return (stdin ??= readFileSync(0, "utf8"));
  if (!existsSync(path) || statSync(path).isDirectory()) return undefined;
  return readFileSync(path, "utf8");
};

/** Throws `not_found` when there is no compose file. */
export const loadOptions = (context: CliContext): LoadOptions => {
  const flags = composeFlagsOf(context);
  const folder = process.cwd();
  const directory = flags["project-directory"] ?? flags.workdir;
  return resolveInputs({
    source: { read: readText },
    folder,
    environment: { PWD: folder, ...context.env },
    files: flags.file,
    name: flags["project-name"],
    profiles: flags.profile,
    envFiles: flags["env-file"],
    projectDirectory: directory,
  });
};

/** Loads it, and tells its warnings on standard error. */
export const openProject = (
  context: CliContext,
  named: readonly string[] = [],
  changes: Partial<LoadOptions> = {},
): Project => {
  const project = loadProject({ ...loadOptions(context), named, ...changes });
  for (const warning of project.warnings) context.output.error(`warning: ${warning}`);
  for (const name of named) {
    if (name in project.model.services || name in project.disabled) continue;
    throw new NaruError("not_found", `no such service: "${name}"`);
  }
  return project;
};
