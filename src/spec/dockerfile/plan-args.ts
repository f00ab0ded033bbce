/** ARGs that exist before the first stage: platforms, those before the first FROM, proxies. */
import type { ArgInstruction, Dockerfile } from "#spec/dockerfile/dockerfile.ts";
import { placed } from "#spec/dockerfile/error.ts";
import { expandWord } from "#spec/dockerfile/expand.ts";
import type { PlanOptions } from "#spec/dockerfile/plan.ts";
import { type Platform, formatPlatform } from "#spec/image/platform.ts";

const platformArgs = (prefix: string, platform: Platform): [string, string][] => [
  [`${prefix}PLATFORM`, formatPlatform(platform)],
  [`${prefix}OS`, platform.os],
  [`${prefix}OSVERSION`, platform.osVersion ?? ""],
  [`${prefix}ARCH`, platform.architecture],
  [`${prefix}VARIANT`, platform.variant ?? ""],
];

const targetName = (file: Dockerfile, target: string | undefined): string => {
  const name = target ?? file.stages.at(-1)?.name ?? "";
  return name === "" ? "default" : name;
};

/** BUILDPLATFORM, TARGETARCH … A build argument of the same name goes before. */
export const automaticArgs = (file: Dockerfile, options: PlanOptions): Map<string, string> => {
  const args = new Map<string, string>([
    ...platformArgs("BUILD", options.buildPlatform),
    ...platformArgs("TARGET", options.targetPlatform),
    ["TARGETSTAGE", targetName(file, options.target)],
  ]);
  for (const name of args.keys()) {
    const given = options.buildArgs.get(name);
    if (given !== undefined) args.set(name, given);
  }
  return args;
};

/** Adds the ARGs before the first FROM. Each sees those above it. Throws DockerfileError. */
export const withMetaArgs = (
  file: Dockerfile,
  automatic: ReadonlyMap<string, string>,
  buildArgs: ReadonlyMap<string, string>,
): Map<string, string> => {
  const args = new Map(automatic);
  const { escape } = file.directives;
  const define = (instruction: ArgInstruction): void => {
    for (const { key, value } of instruction.args) {
      const given = buildArgs.get(key.text);
      if (given !== undefined) args.set(key.text, given);
      else if (value !== undefined) {
        const lookup = (name: string): string | undefined => args.get(name);
        const expanded = placed(file.text, value.range, () =>
          expandWord(value.text, lookup, { escape }),
        );
        args.set(key.text, expanded.text);
      }
    }
  };
  file.metaArgs.forEach(define);
  return args;
};

const PROXIES: readonly string[] = [
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "FTP_PROXY",
  "NO_PROXY",
  "ALL_PROXY",
];

/** Proxies among the build arguments, in upper and lower case. No ARG is needed for them. */
export const proxyEnv = (buildArgs: ReadonlyMap<string, string>): Map<string, string> => {
  const env = new Map<string, string>();
  for (const name of [...buildArgs.keys()].toSorted()) {
    const upper = name.toUpperCase();
    const value = buildArgs.get(name) ?? "";
    if (!PROXIES.includes(upper) || value === "") continue;
    env.set(upper, value);
    env.set(upper.toLowerCase(), value);
  }
  return env;
};

/** Build arguments that no ARG of the file takes, and that mean nothing by themselves. */
export const unusedBuildArgs = (
  file: Dockerfile,
  buildArgs: ReadonlyMap<string, unknown>,
  automatic: ReadonlyMap<string, unknown>,
): string[] => {
  const taken = new Set<string>(automatic.keys());
  for (const instruction of [...file.metaArgs, ...file.stages.flatMap((s) => s.instructions)]) {
    if (instruction.name !== "ARG") continue;
    for (const { key } of instruction.args) taken.add(key.text);
  }
  const isKnown = (name: string): boolean =>
    taken.has(name) ||
    PROXIES.includes(name.toUpperCase()) ||
    name.startsWith("BUILDKIT_") ||
    name === "SOURCE_DATE_EPOCH";
  return [...buildArgs.keys()].filter((name) => !isKnown(name)).toSorted();
};
