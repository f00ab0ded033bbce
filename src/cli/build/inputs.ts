/** From the flags of `build` to what the engine is sent. */
import { readIfThere } from "#cli/read-file.ts";
import { NaruError } from "#lib/errors.ts";
import { csvFields } from "#spec/dockerfile/csv.ts";
import type { Environment } from "#cli/context.ts";

const splitPair = (text: string): [string, string | undefined] => {
  const at = text.indexOf("=");
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
};

/** "NAME=value"; a bare NAME takes the environment's value, or none. */
export const buildArguments = (
  given: readonly string[],
  env: Environment,
): Record<string, string | null> =>
  Object.fromEntries(
    given.map((text) => {
      const [name, value] = splitPair(text);
      return [name, value ?? env[name] ?? null];
    }),
  );

export const labels = (given: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    given.map((text) => {
      const [name, value = ""] = splitPair(text);
      return [name, value];
    }),
  );

/** "key=value,…" */
export const fieldsOf = (text: string, what: string): Map<string, string> => {
  const fields = new Map<string, string>();
  for (const field of csvFields(text)) {
    const [key, value] = splitPair(field);
    if (value === undefined) {
      throw new NaruError(
        "invalid_argument",
        `invalid field "${field}" in ${what} "${text}": must be key=value`,
      );
    }
    fields.set(key.toLowerCase(), value);
  }
  return fields;
};

/** "id=x,src=file" or "id=x,env=NAME"; base64 by id. */
export const secrets = async (
  given: readonly string[],
  env: Environment,
): Promise<Record<string, string>> => {
  const values: Record<string, string> = {};
  for (const text of given) {
    const fields = fieldsOf(text, "secret");
    const source = fields.get("src") ?? fields.get("source");
    const id = fields.get("id") ?? source?.split("/").at(-1);
    if (id === undefined || id === "") {
      throw new NaruError("invalid_argument", `secret "${text}" has no id`);
    }
    const type = fields.get("type") ?? (fields.has("env") ? "env" : undefined);
    const fromEnv =
      fields.get("env") ?? (source === undefined || type === "env" ? (source ?? id) : undefined);
    if (
      type !== "file" &&
      fromEnv !== undefined &&
      (type === "env" || env[fromEnv] !== undefined)
    ) {
      const value = env[fromEnv];
      if (value === undefined) {
        throw new NaruError(
          "invalid_argument",
          `secret "${id}": the environment has no "${fromEnv}"`,
        );
      }
      values[id] = Buffer.from(value).toString("base64");
      continue;
    }
    const bytes = await readIfThere(source ?? id);
    if (bytes === undefined) {
      throw new NaruError("not_found", `secret "${id}": there is no file "${source ?? id}"`);
    }
    values[id] = bytes.toString("base64");
  }
  return values;
};

/** "default", "id=socket"; the agent of the environment where no path is given. */
export const sshSockets = (given: readonly string[], env: Environment): Record<string, string> =>
  Object.fromEntries(
    given.map((text) => {
      const [id, path] = splitPair(text);
      const socket = path ?? env["SSH_AUTH_SOCK"];
      if (socket === undefined || socket === "") {
        throw new NaruError(
          "invalid_argument",
          `no ssh agent for "${id}": SSH_AUTH_SOCK is not set`,
        );
      }
      return [id, socket];
    }),
  );

export interface Output {
  readonly type: "image" | "local" | "tar" | "oci" | "docker";
  /** "-" is standard output; undefined for images. */
  readonly destination: string | undefined;
  readonly names: readonly string[];
  /** Further options, for the engine's exporters. */
  readonly attributes: Readonly<Record<string, string>>;
}

const OUTPUT_TYPES = ["image", "local", "tar", "oci", "docker"] as const;

/** "type=local,dest=out", or a directory alone. */
export const parseOutput = (text: string): Output => {
  if (!text.includes("=")) {
    return text === "-"
      ? { type: "tar", destination: "-", names: [], attributes: {} }
      : { type: "local", destination: text, names: [], attributes: {} };
  }
  const fields = fieldsOf(text, "output");
  // An image that is pushed, in one word.
  if (fields.get("type") === "registry") fields.set("type", "image").set("push", "true");
  const type = OUTPUT_TYPES.find((known) => known === fields.get("type"));
  if (type === undefined) {
    throw new NaruError(
      "invalid_argument",
      `output type "${fields.get("type") ?? ""}" is not supported: use one of ${OUTPUT_TYPES.join(", ")}`,
    );
  }
  const attributes = Object.fromEntries(
    [...fields].filter(([key]) => !["type", "dest", "name"].includes(key)),
  );
  const destination =
    fields.get("dest") ?? (type === "image" || type === "docker" ? undefined : "-");
  if (type === "local" && (destination === undefined || destination === "-")) {
    throw new NaruError(
      "invalid_argument",
      'output type "local" needs a destination: dest=DIRECTORY',
    );
  }
  const names = (fields.get("name") ?? "").split(",").filter((name) => name !== "");
  return { type, destination, names, attributes };
};

/** "name=docker-image://ref" or "name=path". */
export const namedContexts = (
  given: readonly string[],
): { images: Record<string, string>; trees: Record<string, string> } => {
  const images: Record<string, string> = {};
  const trees: Record<string, string> = {};
  for (const text of given) {
    const [name, value] = splitPair(text);
    if (value === undefined || value === "") {
      throw new NaruError(
        "invalid_argument",
        `invalid build context "${text}": must be name=value`,
      );
    }
    if (value.startsWith("docker-image://")) images[name] = value.slice("docker-image://".length);
    else if (/^[a-z-]+:\/\//.test(value)) {
      throw new NaruError(
        "not_implemented",
        `build context "${value}" is not supported: use a directory or docker-image://`,
      );
    } else trees[name] = value;
  }
  return { images, trees };
};
