/** The files of a project as they are published: names of files beside them lead into the artifact. */
import { isAlias, isMap, isScalar, isSeq, parseAllDocuments } from "yaml";
import type { Document } from "yaml";
import { NaruError } from "#lib/errors.ts";
import { lateFs } from "#lib/late-builtins.ts";
import { cleanPath } from "#lib/path.ts";
import type { ArtifactFile } from "#spec/compose/artifact.ts";
import { STDIN } from "#spec/compose/inputs.ts";
import type { Project } from "#spec/compose/project.ts";

interface Change {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

interface Wanted {
  readonly kind: "extended" | "env";
  readonly path: string;
  readonly name: string;
}

const isRemote = (path: string): boolean =>
  /^(?:[a-z][a-z+.-]*:\/\/|git@|github\.com\/)/.test(path);

/** What stands where an alias ("*name") does. */
const resolved = (node: unknown, document: Document): unknown =>
  isAlias(node) ? node.resolve(document) : node;

const isMergeKey = (key: unknown): boolean =>
  isScalar(key) && (key.value === "<<" || typeof key.value === "symbol");

/** The value of a mapping's key, its own or one that it merges in ("<<: *name"). */
const valueIn = (
  node: unknown,
  key: string,
  document: Document,
  seen: ReadonlySet<unknown> = new Set(),
): unknown => {
  const mapping = resolved(node, document);
  if (!isMap(mapping) || seen.has(mapping)) return undefined;
  if (mapping.has(key)) return resolved(mapping.get(key, true), document);
  const merged = mapping.items.find((pair) => isMergeKey(pair.key))?.value;
  const from = resolved(merged, document);
  for (const one of isSeq(from) ? from.items : [from]) {
    const value = valueIn(one, key, document, new Set([...seen, mapping]));
    if (value !== undefined) return value;
  }
  return undefined;
};

const hashName = (path: string, ending: string): string =>
  `${new Bun.CryptoHasher("sha256").update(path).digest("hex")}.${ending}`;

const refuse = (file: string, reason: string): never => {
  throw new NaruError("failed_precondition", `"${file}" cannot be published: ${reason}`);
};

class Published {
  readonly #wanted = new Map<string, Wanted>();
  readonly #hasEnvironment: boolean;

  constructor(hasEnvironment: boolean) {
    this.#hasEnvironment = hasEnvironment;
  }

  get wanted(): ReadonlyMap<string, Wanted> {
    return this.#wanted;
  }

  /** The text with its names changed; formatting and comments stay. */
  read(file: string, folder: string): string {
    const text = lateFs().readFileSync(file, "utf8");
    const changes = parseAllDocuments(text, { version: "1.1" }).flatMap((document) =>
      this.#changesIn(document as Document, file, folder),
    );
    // What several aliases name is there once.
    const single = new Map(changes.map((change) => [change.from, change]));
    return [...single.values()]
      .toSorted((a, b) => b.from - a.from)
      .reduce((now, { from, to, text: name }) => now.slice(0, from) + name + now.slice(to), text);
  }

  #changesIn(document: Document, file: string, folder: string): Change[] {
    const root = document.contents;
    if (!isMap(root)) return [];
    const include = valueIn(root, "include", document);
    const included = isSeq(include) ? include.items : [];
    for (const given of included) {
      const item = resolved(given, document);
      const path: unknown = isMap(item)
        ? item.get("path")
        : isScalar(item)
          ? item.value
          : undefined;
      if (typeof path === "string" && isRemote(path)) continue;
      refuse(file, 'it includes files of this machine; publish the output of "compose config"');
    }
    const services = valueIn(root, "services", document);
    if (!isMap(services)) return [];
    return services.items.flatMap(({ value }) => {
      const base = valueIn(value, "extends", document);
      const files = valueIn(value, "env_file", document);
      const items = (isSeq(files) ? files.items : [files]).map((item) => resolved(item, document));
      return [
        ...this.#change(valueIn(base, "file", document), "extended", folder),
        ...items.flatMap((item) =>
          this.#change(isMap(item) ? valueIn(item, "path", document) : item, "env", folder),
        ),
      ];
    });
  }

  #change(node: unknown, kind: Wanted["kind"], folder: string): Change[] {
    if (!isScalar(node) || typeof node.value !== "string" || !Array.isArray(node.range)) {
      return [];
    }
    if (isRemote(node.value)) return [];
    if (node.value.includes("$")) {
      refuse(node.value, "the name of a file beside it has a variable in it");
    }
    const path = cleanPath(node.value.startsWith("/") ? node.value : `${folder}/${node.value}`);
    const name = hashName(path, kind === "env" ? "env" : "yaml");
    if (kind === "extended" || this.#hasEnvironment) this.#wanted.set(path, { kind, path, name });
    const [from, to] = node.range;
    return [{ from, to, text: name }];
  }
}

const folderOf = (path: string): string => path.slice(0, Math.max(1, path.lastIndexOf("/")));
const baseName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** Compose files first, in their order. Throws failed_precondition for what names more than can go along. */
export const publishedFiles = (project: Project, hasEnvironment: boolean): ArtifactFile[] => {
  const published = new Published(hasEnvironment);
  if (project.files.some((path) => baseName(path) === STDIN)) {
    refuse(STDIN, "standard input has no name; write it to a file, and name that");
  }
  const files: ArtifactFile[] = project.files.map((path) => ({
    kind: "compose",
    name: baseName(path),
    text: published.read(path, project.workingDirectory),
  }));
  const { existsSync, readFileSync } = lateFs();
  // Files that are extended may extend others: the map grows while it is gone through.
  for (const { kind, path, name } of published.wanted.values()) {
    if (kind === "env" && !existsSync(path)) continue;
    files.push({
      kind,
      name,
      text: kind === "env" ? readFileSync(path, "utf8") : published.read(path, folderOf(path)),
    });
  }
  return files;
};
