/** Files to project: `loadProject` is the door of this room. The manual is compose.ts. */
import type { Model, Service } from "#spec/compose/compose.ts";
import type { LoadOptions, Project } from "#spec/compose/project.ts";
import { parseDotenv } from "#spec/compose/dotenv.ts";
import { resolveEnvironment } from "#spec/compose/environment.ts";
import { cleanPath } from "#lib/path.ts";
import type { Variables } from "#spec/compose/interpolate.ts";
import { InterpolationError, substitute } from "#spec/compose/interpolate.ts";
import type { MapNode, Node } from "#spec/compose/node.ts";
import { describePlace, fromPlain, map, placedError, toPlain } from "#spec/compose/node.ts";
import { applyExtends } from "#spec/compose/extends.ts";
import type { ServicesOfFile } from "#spec/compose/extends.ts";
import { leaveBare, normalize } from "#spec/compose/normalize.ts";
import { readComposeFile } from "#spec/compose/read-file.ts";
import { projectShape } from "#spec/compose/schema/project.ts";
import { selectServices } from "#spec/compose/select.ts";
import { mergeNodes } from "#spec/compose/shape.ts";
import { validate } from "#spec/compose/validate.ts";
import { parseYaml } from "#spec/compose/yaml.ts";
import { NaruError } from "#lib/errors.ts";

type Environment = Readonly<Record<string, string>>;

const folderOf = (file: string): string => file.slice(0, Math.max(1, file.lastIndexOf("/")));

const absolute = (path: string, folder: string): string =>
  path.startsWith("/") ? cleanPath(path) : cleanPath(`${folder}/${path}`);

/** The address that became part of a path, when there is no such file. */
const remoteName = (file: string): string | undefined => {
  const match = /\/(?:(https?|git|ssh|oci|s3):\/(.+)|(git@[^/]+:.+))$/.exec(file);
  if (match === null) return undefined;
  const [, scheme = "", rest = "", short] = match;
  return short ?? `${scheme}://${rest}`;
};

const NO_PLACE = { place: { file: "", line: 0 } };
const RESOURCES = ["services", "networks", "volumes", "secrets", "configs", "models"] as const;

/** Letters, digits, `-` and `_` in lower case; what a project may be called. */
export const cleanName = (text: string): string =>
  text
    .toLowerCase()
    .replaceAll(/[^-_a-z0-9]+/g, "")
    .replace(/^[-_]+/, "");

export const PROJECT_NAME = /^[a-z0-9][-_a-z0-9]*$/;

class Loader {
  readonly warnings = new Set<string>();
  readonly #options: LoadOptions;
  readonly #trees = new Map<string, readonly Node[]>();
  readonly #fetched: Set<string>;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#fetched = new Set(options.fetchedFiles);
  }

  /** The absolute path of a file that another one names, fetched if it is elsewhere. */
  #locate(path: string, folder: string): string {
    const fetched = this.#options.source.fetch?.(path);
    if (fetched !== undefined) this.#fetched.add(fetched);
    return fetched ?? absolute(path, folder);
  }

  read(file: string, from?: Node): string {
    const text = this.#options.source.read(file);
    if (text !== undefined) return text;
    const where = from === undefined ? "" : `${describePlace(from.place)}: `;
    const remote = remoteName(file);
    if (remote !== undefined) {
      throw new NaruError(
        "not_implemented",
        `${where}"${remote}" is on another machine, and of those only git repositories are read ` +
          '("https://host/project.git#branch:folder"): fetch it (curl, oras) and name the copy',
      );
    }
    throw new NaruError("not_found", `${where}there is no file "${file}"`);
  }

  /** The documents of a file, parsed once however often it is asked for. */
  trees(file: string, from?: Node): readonly Node[] {
    const known = this.#trees.get(file);
    if (known !== undefined) return known;
    const trees = parseYaml(file, this.read(file, from));
    this.#trees.set(file, trees);
    return trees;
  }

  variables(environment: Environment): Variables | undefined {
    if (this.#options.isInterpolated === false) return undefined;
    return {
      lookup: (name) => environment[name],
      onUnset: (name) =>
        this.warnings.add(`The "${name}" variable is not set. Defaulting to a blank string.`),
    };
  }

  /** All files, merged in their order. */
  load(
    files: readonly string[],
    folder: string,
    environment: Environment,
    including: readonly string[],
  ): Node {
    let whole: Node = map(NO_PLACE, []);
    for (const file of files) {
      const own = this.#fetched.has(file) ? folderOf(file) : folder;
      for (const document of this.#documents(file, own, environment)) {
        const tree = this.#withOtherFiles(document, file, own, environment, [...including, file]);
        whole = mergeNodes(projectShape, whole, tree);
      }
    }
    return whole;
  }

  #documents(file: string, folder: string, environment: Environment, from?: Node): MapNode[] {
    const documents = readComposeFile({
      trees: this.trees(file, from),
      folder: this.#options.isPathResolved === false ? undefined : folder,
      home: this.#options.home,
      variables: this.variables(environment),
    });
    return documents.filter((document) => document.kind === "map");
  }

  #withOtherFiles(
    document: MapNode,
    file: string,
    folder: string,
    environment: Environment,
    including: readonly string[],
  ): Node {
    const entries = new Map(document.entries);
    if (entries.delete("version")) {
      this.warnings.add(`${file}: the attribute \`version\` is obsolete, it will be ignored`);
    }
    const services = entries.get("services");
    if (services?.kind === "map" && services.tag === undefined) {
      const open = (other: string, here: string, from: Node): ServicesOfFile =>
        this.#servicesOf(this.#locate(other, here), environment, from);
      entries.set("services", applyExtends({ file, folder, services }, open));
    }
    const include = entries.get("include");
    entries.delete("include");
    for (const item of include?.kind === "list" ? include.items : []) {
      const part = this.#included(item, folder, environment, including);
      for (const kind of RESOURCES) importResources(entries, part, kind, item);
    }
    return map(document, entries);
  }

  #servicesOf(file: string, environment: Environment, from: Node): ServicesOfFile {
    const folder = folderOf(file);
    const [document] = this.#documents(file, folder, environment, from);
    const services = document?.entries.get("services");
    if (services?.kind === "map") return { file, folder, services };
    throw placedError(from.place, `"${file}" has no services to extend`);
  }

  #included(
    item: Node,
    folder: string,
    environment: Environment,
    including: readonly string[],
  ): MapNode {
    const given = toPlain(item) as {
      path: string[];
      project_directory?: string;
      env_file?: string[];
    };
    const files = given.path.map((path) => this.#locate(path, folder));
    const [main = folder] = files;
    if (including.includes(main)) {
      const chain = [...including, main].join("\n includes ");
      throw placedError(item.place, `include: the file includes itself: ${chain}`);
    }
    const own =
      given.project_directory === undefined
        ? folderOf(main)
        : absolute(given.project_directory, folder);
    const variables = this.#variablesOfInclude(given.env_file, own, folder, environment, item);
    const tree = this.load(files, own, variables, including);
    return tree.kind === "map" ? completeIncluded(tree, own, variables) : map(NO_PLACE, []);
  }

  #variablesOfInclude(
    given: readonly string[] | undefined,
    own: string,
    folder: string,
    environment: Environment,
    item: Node,
  ): Environment {
    const files = given?.map((path) => absolute(path, folder)) ?? [`${own}/.env`];
    const found: Record<string, string> = {};
    for (const file of files) {
      const text = given === undefined ? this.#options.source.read(file) : this.read(file, item);
      if (text === undefined) continue;
      const lookup = (name: string): string | undefined => environment[name] ?? found[name];
      Object.assign(found, parseDotenv(text, { file, lookup }));
    }
    return { ...found, ...environment };
  }
}

/** What an included file leaves open is settled by its own folder and variables. */
const completeIncluded = (tree: MapNode, folder: string, environment: Environment): MapNode => {
  const services = tree.entries.get("services");
  if (services?.kind !== "map") return tree;
  const completed = [...services.entries].map(([name, node]): [string, Node] => {
    const plain = toPlain(node) as { build?: object; environment?: Record<string, string | null> };
    if (node.kind !== "map") return [name, node];
    const entries = new Map(node.entries);
    if (plain.build !== undefined && !("context" in plain.build)) {
      entries.set("build", fromPlain({ ...plain.build, context: folder }, node));
    }
    if (plain.environment !== undefined) {
      const resolved = Object.entries(plain.environment).map(([key, value]) => [
        key,
        value ?? environment[key] ?? null,
      ]);
      entries.set("environment", fromPlain(Object.fromEntries(resolved), node));
    }
    return [name, map(node, entries)];
  });
  return map(tree, [...tree.entries, ["services", map(services, completed)]]);
};

const importResources = (
  into: Map<string, Node>,
  part: MapNode,
  kind: (typeof RESOURCES)[number],
  item: Node,
): void => {
  const theirs = part.entries.get(kind);
  if (theirs?.kind !== "map") return;
  const ours = into.get(kind);
  const entries = new Map(ours?.kind === "map" ? ours.entries : []);
  for (const [name, node] of theirs.entries) {
    const known = entries.get(name);
    if (known !== undefined && !Bun.deepEquals(toPlain(known), toPlain(node))) {
      const where = `first in ${describePlace(known.place)}`;
      throw placedError(
        item.place,
        `include: ${kind}.${name} is declared differently in what is included, ${where}`,
      );
    }
    entries.set(name, node);
  }
  into.set(kind, map(ours ?? theirs, entries));
};

/** What the files call the project; the last one counts. */
const nameInFiles = (loader: Loader, options: LoadOptions): string | undefined => {
  let name: string | undefined;
  for (const file of options.files) {
    for (const tree of loader.trees(file)) {
      const node = tree.kind === "map" ? tree.entries.get("name") : undefined;
      if (node?.kind !== "scalar" || typeof node.value !== "string" || node.value === "") continue;
      try {
        name = substitute(node.value, {
          lookup: (wanted) => options.environment[wanted],
          onUnset: () => undefined,
        });
      } catch (error) {
        if (!(error instanceof InterpolationError)) throw error;
        throw placedError(node.place, `name: ${error.message}`, error);
      }
      name = cleanName(name);
      if (name === "") {
        throw placedError(node.place, `name: "${node.value}" has no letter or digit`);
      }
    }
  }
  return name;
};

/** Throws `invalid_argument` with file and line for what is wrong, `not_found` for missing files. */
export const loadProject = (options: LoadOptions): Project => {
  const loader = new Loader(options);
  const name = options.name ?? nameInFiles(loader, options) ?? cleanName(options.fallbackName);
  if (!PROJECT_NAME.test(name)) {
    throw new NaruError(
      "invalid_argument",
      `"${name}" is no project name: lower case letters, digits, - and _ only, beginning with a letter or digit; name it with -p`,
    );
  }
  const environment: Environment = { COMPOSE_PROJECT_NAME: name, ...options.environment };
  const tree = loader.load(options.files, options.workingDirectory, environment, []);
  if (tree.kind === "map" && tree.entries.size === 0) {
    const names = options.files.map((file) => `"${file}"`).join(", ");
    throw new NaruError("invalid_argument", `${names}: there is nothing in it; write "services:"`);
  }
  const complete = options.isNormalized === false ? leaveBare : normalize;
  const whole = complete(toPlain(tree) as Record<string, unknown>, {
    name,
    workingDirectory: options.isPathResolved === false ? "." : options.workingDirectory,
    environment,
  });
  const selected = selectServices(whole, options);
  const isChecked = options.isChecked !== false && options.isInterpolated !== false;
  if (isChecked) validate(selected, tree);
  const model =
    options.isEnvironmentResolved === false
      ? selected.model
      : resolveEnvironment(selected.model, { tree, source: options.source, environment });
  return {
    model: projectShape.tidy(model) as Model,
    disabled: tidyServices(selected.disabled),
    workingDirectory: options.workingDirectory,
    files: options.files,
    environmentFiles: options.environmentFiles ?? [],
    profiles: options.profiles,
    environment,
    warnings: [...loader.warnings],
  };
};

const tidyServices = (services: Readonly<Record<string, Service>>): Record<string, Service> =>
  (projectShape.tidy({ services }) as { services: Record<string, Service> }).services;
