/** The project the command line means, read from its files. */
import type { CliContext } from "#cli/context.ts";
import { openSource, whenThere } from "#cli/compose/source.ts";
import { composeFlagsOf } from "#cli/compose/state.ts";
import type { LoadOptions, Project } from "#spec/compose/project.ts";
import { resolveInputs } from "#spec/compose/inputs.ts";
import { cleanName, loadProject } from "#spec/compose/load.ts";
import { selectServices } from "#spec/compose/select.ts";
import { NaruError, hasCode } from "#lib/errors.ts";

/** Throws `not_found` when there is no compose file. */
export const loadOptions = (context: CliContext): Promise<LoadOptions> =>
  whenThere(context, () => readOptions(context));

const readOptions = async (context: CliContext): Promise<LoadOptions> => {
  const flags = composeFlagsOf(context);
  const folder = process.cwd();
  const directory = flags["project-directory"];
  return resolveInputs({
    source: openSource(context.env),
    folder,
    environment: { PWD: folder, ...context.env },
    files: flags.file,
    name: flags["project-name"],
    profiles: flags.profile,
    envFiles: flags["env-file"],
    projectDirectory: directory,
  });
};

const tellWarnings = (context: CliContext, { warnings }: Project): void => {
  for (const warning of warnings) context.output.error(`warning: ${warning}`);
};

/** Loads it, and tells its warnings on standard error. */
export const openProject = async (
  context: CliContext,
  named: readonly string[] = [],
  changes: Partial<LoadOptions> = {},
): Promise<Project> => {
  const options = { ...(await loadOptions(context)), named, ...changes };
  const project = await whenThere(context, () => loadProject(options));
  tellWarnings(context, project);
  for (const name of named) {
    if (name in project.model.services || name in project.disabled) continue;
    throw new NaruError("not_found", `no such service: "${name}"`);
  }
  return project;
};

export interface FoundProject {
  readonly name: string;
  /** With the services of all profiles. */
  readonly project: Project | undefined;
  /** Services that profiles leave out: a command that names none leaves them alone. */
  readonly off: ReadonlySet<string>;
}

/** All of it, for the order among its services; which of them are on is said beside. */
const loadWhole = (options: LoadOptions): FoundProject & { readonly project: Project } => {
  const project = loadProject({ ...options, profiles: ["*"] });
  const { disabled } = selectServices(project.model, { profiles: options.profiles ?? [] });
  return { name: project.model.name, project, off: new Set(Object.keys(disabled)) };
};

const findWhole = async (
  context: CliContext,
): Promise<FoundProject & { readonly project: Project }> => {
  const options = await loadOptions(context);
  return await whenThere(context, () => loadWhole(options));
};

/**
 * The project's name for commands that can do without the file: `-p`, else what the file or its
 * folder says. The project is there when the file is.
 */
export const findProject = async (context: CliContext): Promise<FoundProject> => {
  const given =
    composeFlagsOf(context)["project-name"] ?? context.env["COMPOSE_PROJECT_NAME"] ?? "";
  const hasFile = composeFlagsOf(context).file.length > 0;
  if (given !== "" && !hasFile) {
    if (cleanName(given) !== given) {
      throw new NaruError("invalid_argument", `"${given}" is no project name`);
    }
    try {
      const found = await findWhole(context);
      if (found.name === given) return found;
    } catch (error) {
      if (!hasCode(error, "not_found")) throw error;
    }
    return { name: given, project: undefined, off: new Set() };
  }
  const found = await findWhole(context);
  tellWarnings(context, found.project);
  return found;
};
