/** The model as `compose config` prints it. */
import { stringify } from "yaml";
import type { Model, Network, Service } from "#spec/compose/compose.ts";
import { SERVICE_ATTRIBUTES } from "#spec/compose/schema/service.ts";

const double = (text: string): string => text.replaceAll("$", "$$$$");

const escapeDollars = (value: unknown): unknown => {
  if (typeof value === "string") return double(value);
  if (Array.isArray(value)) return value.map(escapeDollars);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [double(key), escapeDollars(item)]),
  );
};

const TOP = ["name", "services", "networks", "volumes", "secrets", "configs", "models"];

const ordered = (model: Model): Record<string, unknown> => {
  const extensions = Object.keys(model).filter((key) => key.startsWith("x-"));
  return Object.fromEntries(
    [...TOP, ...extensions.toSorted()]
      .map((key) => [key, Reflect.get(model, key)] as const)
      .filter(([, value]) => value !== undefined),
  );
};

/** `isEscaped`: dollar signs are doubled, so that the output can be read again. */
export const printYaml = (model: Model, isEscaped = true): string =>
  stringify(isEscaped ? escapeDollars(ordered(model)) : ordered(model), {
    lineWidth: 0,
    aliasDuplicateObjects: false,
    version: "1.1",
  });

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const withoutExtensions = (value: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).filter(([key]) => !key.startsWith("x-")));

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

export const printJson = (model: Model, isEscaped = true): string => {
  const whole = ordered(model);
  const each = <T>(record: Readonly<Record<string, T>> | undefined, to: (item: T) => unknown) =>
    record === undefined
      ? undefined
      : Object.fromEntries(Object.entries(record).map(([key, item]) => [key, to(item)]));
  const shaped = {
    ...whole,
    services: each(model.services, jsonService),
    networks: each(model.networks, jsonNetwork),
  };
  return `${JSON.stringify(isEscaped ? escapeDollars(shaped) : shaped, undefined, 2)}\n`;
};
