/** The model as `compose config` prints it. */
import type { Model, Network, Service } from "#spec/compose/compose.ts";
import { goKeyOrder, goYaml } from "#spec/compose/go-yaml.ts";
import { projectShape } from "#spec/compose/schema/project.ts";
import { SERVICE_ATTRIBUTES } from "#spec/compose/schema/service.ts";
import { withSortedKeys } from "#spec/compose/shape.ts";

const TOP = ["name", "services", "networks", "volumes", "secrets", "configs", "models"];

const ordered = (model: Model): Record<string, unknown> => {
  const extensions = Object.keys(model).filter((key) => key.startsWith("x-"));
  return Object.fromEntries(
    [...TOP, ...extensions.toSorted(goKeyOrder)]
      .map((key) => [key, Reflect.get(model, key)] as const)
      .filter(([key, value]) => value !== undefined && (key !== "name" || value !== "")),
  );
};

const escapeDollars = (text: string): string => text.replaceAll("$", "$$$$");

/** Dollar signs are doubled, so that the output can be read again. */
export const printYaml = (model: Model): string =>
  escapeDollars(goYaml(ordered(projectShape.tidy(model, goKeyOrder) as Model)));

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const withoutExtensions = (value: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).filter(([key]) => !key.startsWith("x-")));

const withoutOwnExtensions = (item: unknown): unknown =>
  isObject(item) ? withoutExtensions(item) : item;

const DEPLOY = [
  "mode",
  "replicas",
  "labels",
  "update_config",
  "rollback_config",
  "resources",
  "restart_policy",
  "placement",
  "endpoint_mode",
];

const jsonDeploy = (deploy: Record<string, unknown>): Record<string, unknown> => {
  const whole: Record<string, unknown> = { ...deploy };
  whole["resources"] ??= {};
  whole["placement"] ??= {};
  return Object.fromEntries(
    DEPLOY.filter((key) => whole[key] !== undefined).map((key) => [key, whole[key]]),
  );
};

const jsonWatch = (develop: Record<string, unknown>): unknown => {
  const { watch } = develop;
  if (!Array.isArray(watch)) return develop;
  return {
    watch: watch.map((rule: Record<string, unknown>) => {
      const { path, action, target, exec, ...rest } = rule;
      const aimed = target === undefined ? {} : { target };
      return { path, action, ...aimed, exec: exec ?? { command: null }, ...rest };
    }),
  };
};

/** One that must be there is its path alone, whatever its format. */
const jsonEnvFile = (item: unknown): unknown =>
  isObject(item) && item["required"] !== false ? item["path"] : item;

/** These have no names of their own in the reference tool's JSON: Go's stand there. */
const jsonDevices = (item: unknown): unknown =>
  isObject(item)
    ? Object.fromEntries(
        Object.entries(item)
          .filter(([key]) => !key.startsWith("x-"))
          .map(([key, value]) => [key.charAt(0).toUpperCase() + key.slice(1), value]),
      )
    : item;

const jsonBlkio = (given: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(withoutExtensions(given)).map(([key, value]) => [
      key,
      Array.isArray(value) ? value.map(jsonDevices) : value,
    ]),
  );

/**
 * A service as the reference tool writes it as JSON: there some attributes stand even when they
 * say nothing, and extensions do not. The config hash is made of this.
 */
export const jsonService = (service: Service): Record<string, unknown> => {
  const result: Record<string, unknown> = {};
  for (const key of SERVICE_ATTRIBUTES) {
    const value: unknown = Reflect.get(service, key);
    if (value === undefined) {
      if (key === "command" || key === "entrypoint") result[key] = null;
    } else if (key === "deploy" && isObject(value)) result[key] = jsonDeploy(value);
    else if (key === "develop" && isObject(value)) result[key] = jsonWatch(value);
    else if (key === "blkio_config" && isObject(value)) result[key] = jsonBlkio(value);
    else if (key === "env_file" && Array.isArray(value)) result[key] = value.map(jsonEnvFile);
    else if (Array.isArray(value)) result[key] = value.map(withoutOwnExtensions);
    else result[key] = isObject(value) && key !== "labels" ? withoutExtensions(value) : value;
  }
  return result;
};

const NETWORK_BEFORE_IPAM = new Set(["name", "driver", "driver_opts"]);

/** The same of a network: `ipam` always stands. */
export const jsonNetwork = (network: Network): Record<string, unknown> => {
  const entries = Object.entries(network).filter(
    ([key]) => key !== "ipam" && !key.startsWith("x-"),
  );
  const isBefore = ([key]: readonly [string, unknown]): boolean => NETWORK_BEFORE_IPAM.has(key);
  return Object.fromEntries([
    ...entries.filter(isBefore),
    ["ipam", network.ipam ?? {}],
    ...entries.filter((item) => !isBefore(item)),
  ]);
};

/** Go's encoder writes these as escapes, JavaScript's does not. */
export const goJson = (value: unknown, indent?: number): string =>
  JSON.stringify(value, undefined, indent)
    .replaceAll("<", String.raw`\u003c`)
    .replaceAll(">", String.raw`\u003e`)
    .replaceAll("&", String.raw`\u0026`)
    .replaceAll("\u2028", String.raw`\u2028`)
    .replaceAll("\u2029", String.raw`\u2029`);

/** Empty lists of extensions are written as nothing. */
const jsonExtension = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.length === 0 ? null : value.map(jsonExtension);
  return isObject(value)
    ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, jsonExtension(item)]))
    : value;
};

/** Without `models`, which the reference tool leaves out, and without a line end behind it. */
export const printJson = (model: Model): string => {
  const { models: _models, ...whole } = projectShape.tidy(model) as Model;
  const each = <T>(record: Readonly<Record<string, T>> | undefined, to: (item: T) => unknown) =>
    record === undefined
      ? undefined
      : Object.fromEntries(Object.entries(record).map(([key, item]) => [key, to(item)]));
  const shaped: Record<string, unknown> = {
    ...whole,
    services: each(model.services, jsonService),
    networks: each(model.networks, jsonNetwork),
  };
  const keys = Object.keys(shaped).toSorted();
  const entries = keys.map((key) => [
    key,
    key.startsWith("x-") ? jsonExtension(shaped[key]) : shaped[key],
  ]);
  return escapeDollars(goJson(Object.fromEntries(entries), 2));
};

/** As written, with all keys in order: `config --no-interpolate`. */
export const printAsWritten = (model: Model, format: "yaml" | "json"): string =>
  format === "json"
    ? goJson(withSortedKeys(model), 2)
    : goYaml(withSortedKeys(model, goKeyOrder) as Record<string, unknown>);
