/** Flags of up, create, run and plan as options of the decision. */
import type { CliContext } from "#cli/context.ts";
import type { UpOptions } from "#compose/decide.ts";
import { DEFAULT_UP } from "#compose/decide.ts";
import { usageError } from "#cli/framework/errors.ts";
import { withServices } from "#spec/compose/select.ts";
import type { Model } from "#spec/compose/compose.ts";
import type { Project } from "#spec/compose/project.ts";
import { NaruError } from "#lib/errors.ts";

export interface UpFlags {
  readonly "always-recreate-deps"?: boolean;
  readonly build?: boolean;
  readonly "force-recreate"?: boolean;
  readonly "no-build"?: boolean;
  readonly "no-deps"?: boolean;
  readonly "no-recreate"?: boolean;
  readonly "no-start"?: boolean;
  readonly pull?: string | undefined;
  readonly "remove-orphans"?: boolean;
  readonly "renew-anon-volumes"?: boolean;
  readonly rolling?: boolean;
  readonly scale?: readonly string[];
  readonly wait?: boolean;
  readonly yes?: boolean;
}

/** The model with `--scale SERVICE=N` in it. */
export const withScale = (model: Model, scales: readonly string[]): Model => {
  const services = { ...model.services };
  for (const text of scales) {
    const match = /^([^=]+)=(\d+)$/.exec(text);
    const name = match?.[1] ?? "";
    if (match === null) throw usageError(`"${text}" is not SERVICE=NUMBER`);
    const service = services[name];
    if (service === undefined) throw new NaruError("not_found", `no such service: "${name}"`);
    const { replicas: _replicas, ...deploy } = service.deploy ?? {};
    services[name] = {
      ...service,
      scale: Number(match[2]),
      ...(service.deploy ? { deploy } : {}),
    };
  }
  return { ...model, services };
};

const isTrue = (text: string | undefined): boolean => text === "1" || text === "true";

const PULLS = ["always", "missing", "never", "build", "policy", "if_not_present"];

export const upOptions = (
  context: CliContext,
  project: Project,
  named: readonly string[],
  flags: UpFlags,
): UpOptions => {
  if (flags["force-recreate"] === true && flags["no-recreate"] === true) {
    throw usageError("--force-recreate and --no-recreate exclude each other");
  }
  if (flags.build === true && flags["no-build"] === true) {
    throw usageError("--build and --no-build exclude each other");
  }
  if (flags.pull !== undefined && !PULLS.includes(flags.pull)) {
    throw usageError(`--pull takes "always", "missing", "never" or "build", not "${flags.pull}"`);
  }
  const chosen = withServices(project.model, named, flags["no-deps"] !== true);
  return {
    ...DEFAULT_UP,
    targets: Object.keys(chosen.services),
    named,
    disabled: Object.keys(project.disabled),
    recreate:
      flags["force-recreate"] === true
        ? "always"
        : flags["no-recreate"] === true
          ? "never"
          : "changed",
    areDependenciesRecreated: flags["always-recreate-deps"] === true,
    hasOrphansRemoved:
      flags["remove-orphans"] === true || isTrue(context.env["COMPOSE_REMOVE_ORPHANS"]),
    isStarted: flags["no-start"] !== true,
    isAwaited: flags.wait === true,
    isRolling: flags.rolling === true,
    areVolumesRecreated: flags.yes === true,
    hasFreshAnonymousVolumes: flags["renew-anon-volumes"] === true,
    build: flags.build === true ? "always" : flags["no-build"] === true ? "never" : "missing",
    pull: flags.pull === "policy" ? undefined : flags.pull,
  };
};
