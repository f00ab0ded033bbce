/** `env_file` and `label_file` of services. */
import type { Model, Service } from "#spec/compose/compose.ts";
import type { ProjectSource } from "#spec/compose/project.ts";
import { parseDotenv } from "#spec/compose/dotenv.ts";
import type { Node } from "#spec/compose/node.ts";
import { nearest, placedError } from "#spec/compose/node.ts";

export interface EnvironmentContext {
  readonly tree: Node;
  readonly source: ProjectSource;
  readonly environment: Readonly<Record<string, string>>;
}

const readRequired = (
  path: string,
  isRequired: boolean,
  where: readonly (string | number)[],
  context: EnvironmentContext,
): string | undefined => {
  const text = context.source.read(path);
  if (text !== undefined || !isRequired) return text;
  const node = nearest(context.tree, where);
  throw placedError(node.place, `${where.join(".")}: there is no file "${path}"`);
};

const withEnvironment = (name: string, service: Service, context: EnvironmentContext): Service => {
  if (service.env_file === undefined) return service;
  const own = service.environment ?? {};
  let found: Record<string, string> = {};
  for (const [at, { path, required, format }] of service.env_file.entries()) {
    const where = ["services", name, "env_file", at];
    const text = readRequired(path, required !== false, where, context);
    if (text === undefined) continue;
    const earlier = found;
    const lookup = (key: string): string | undefined =>
      context.environment[key] ?? own[key] ?? undefined;
    const known = (key: string): string | undefined => earlier[key];
    found = { ...found, ...parseDotenv(text, { file: path, lookup, known, format }) };
  }
  const { env_file: _files, ...rest } = service;
  return { ...rest, environment: { ...found, ...own } };
};

const withLabels = (name: string, service: Service, context: EnvironmentContext): Service => {
  if (service.label_file === undefined) return service;
  let found: Record<string, string> = {};
  for (const [at, path] of service.label_file.entries()) {
    const text = readRequired(path, true, ["services", name, "label_file", at], context);
    const lookup = (key: string): string | undefined => context.environment[key];
    found = { ...found, ...parseDotenv(text ?? "", { file: path, lookup }) };
  }
  const { label_file: _files, ...rest } = service;
  return { ...rest, labels: { ...found, ...service.labels } };
};

/** Throws with the place of the file's mention when a required file is missing. */
export const resolveEnvironment = (model: Model, context: EnvironmentContext): Model => ({
  ...model,
  services: Object.fromEntries(
    Object.entries(model.services).map(([name, service]) => [
      name,
      withLabels(name, withEnvironment(name, service, context), context),
    ]),
  ),
});
