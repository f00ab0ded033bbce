/**
 * What a project is made from: files, folder, variables, profiles, name. Flags go before variables
 * of the shell, these before `.env`, that before what is found in the folder.
 */
import type { LoadOptions, ProjectSource } from "#spec/compose/project.ts";
import { parseDotenv } from "#spec/compose/dotenv.ts";
import { cleanPath } from "#lib/path.ts";
import { NaruError } from "#lib/errors.ts";

export interface Inputs {
  readonly source: ProjectSource;
  /** Where the command runs; absolute. */
  readonly folder: string;
  /** The shell's variables. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly files?: readonly string[];
  readonly name?: string | undefined;
  readonly profiles?: readonly string[];
  readonly envFiles?: readonly string[];
  readonly projectDirectory?: string | undefined;
}

/** What a compose file is called when nobody names it, the first one goes before the others. */
export const NAMES = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
/** What may stand beside it, likewise. */
const OVERRIDES = [
  "compose.override.yml",
  "compose.override.yaml",
  "docker-compose.override.yml",
  "docker-compose.override.yaml",
];

/** Standard input as a file: the caller's source answers to it. */
export const STDIN = "-";

const parentOf = (folder: string): string => folder.slice(0, folder.lastIndexOf("/")) || "/";

const absolute = (path: string, folder: string): string =>
  path === STDIN
    ? `${folder}/${STDIN}`
    : cleanPath(path.startsWith("/") ? path : `${folder}/${path}`);

const findDefault = (inputs: Inputs, start: string): readonly string[] => {
  const has = (file: string): boolean => inputs.source.read(file) !== undefined;
  for (let folder = start; ; folder = parentOf(folder)) {
    const base = folder === "/" ? "" : folder;
    const main = NAMES.map((name) => `${base}/${name}`).find(has);
    if (main !== undefined) {
      const over = OVERRIDES.map((name) => `${base}/${name}`).find(has);
      return over === undefined ? [main] : [main, over];
    }
    if (folder === "/") break;
  }
  throw new NaruError(
    "not_found",
    `there is no compose.yaml in "${start}" or a folder above it; name the file with -f`,
  );
};

class Variables {
  readonly values: Record<string, string> = {};
  readonly #source: ProjectSource;

  constructor(inputs: Inputs) {
    this.#source = inputs.source;
    for (const [key, value] of Object.entries(inputs.environment)) {
      if (value !== undefined) this.values[key] = value;
    }
  }

  /** What is known already stays. */
  addFiles(paths: readonly string[], isRequired: boolean): void {
    let found: Record<string, string> = {};
    for (const file of paths) {
      const text = this.#source.read(file);
      if (text === undefined) {
        if (isRequired) throw new NaruError("not_found", `there is no env file "${file}"`);
        continue;
      }
      const earlier = found;
      const lookup = (name: string): string | undefined => this.values[name];
      const known = (name: string): string | undefined => earlier[name];
      found = { ...found, ...parseDotenv(text, { file, lookup, known }) };
    }
    for (const [key, value] of Object.entries(found)) this.values[key] ??= value;
  }
}

const splitList = (text: string | undefined, separator: string): string[] =>
  (text ?? "")
    .split(separator)
    .map((part) => part.trim())
    .filter((part) => part !== "");

const baseName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** Throws `not_found` when there is no compose file or an env file that was named is missing. */
export const resolveInputs = (inputs: Inputs): LoadOptions => {
  const variables = new Variables(inputs);
  const { values } = variables;
  const named =
    inputs.envFiles !== undefined && inputs.envFiles.length > 0
      ? inputs.envFiles
      : splitList(values["COMPOSE_ENV_FILES"], ",");
  const envFiles = named.map((path) => absolute(path, inputs.folder));
  const given =
    inputs.projectDirectory === undefined
      ? undefined
      : absolute(inputs.projectDirectory, inputs.folder);
  const isDotenvOff = ["1", "true"].includes(values["COMPOSE_DISABLE_ENV_FILE"] ?? "");
  const addDotenv = (folder: string): void => {
    if (envFiles.length > 0) variables.addFiles(envFiles, true);
    else if (!isDotenvOff) variables.addFiles([`${folder}/.env`], false);
  };
  addDotenv(given ?? inputs.folder);
  const separator = values["COMPOSE_PATH_SEPARATOR"] ?? ":";
  const listed =
    inputs.files !== undefined && inputs.files.length > 0
      ? inputs.files
      : splitList(values["COMPOSE_FILE"], separator);
  const fetchedFiles: string[] = [];
  const locate = (path: string): string => {
    const fetched = inputs.source.fetch?.(path);
    if (fetched !== undefined) fetchedFiles.push(fetched);
    return fetched ?? absolute(path, inputs.folder);
  };
  const files =
    listed.length > 0 ? listed.map(locate) : findDefault(inputs, given ?? inputs.folder);
  const [main = "/"] = files;
  const workingDirectory = given ?? (main.endsWith(`/${STDIN}`) ? inputs.folder : parentOf(main));
  const isFetched = fetchedFiles.includes(main);
  // The variables of a project that lies elsewhere are this machine's.
  if (!isFetched) addDotenv(workingDirectory);
  const name = inputs.name ?? values["COMPOSE_PROJECT_NAME"];
  const profiles = [...(inputs.profiles ?? []), ...splitList(values["COMPOSE_PROFILES"], ",")];
  return {
    source: inputs.source,
    files,
    fetchedFiles,
    workingDirectory,
    name: name === "" ? undefined : name,
    fallbackName: baseName(isFetched && given === undefined ? inputs.folder : workingDirectory),
    environment: values,
    environmentFiles: envFiles,
    profiles,
    home: values["HOME"],
  };
};
