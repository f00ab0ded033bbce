/** The containers of a project that a command is about. */
import type { CliContext } from "#cli/context.ts";
import { findProject } from "#cli/compose/project.ts";
import { namelessProject, openStack } from "#cli/compose/stack.ts";
import type { OpenStack, OpenStackOptions } from "#cli/compose/stack.ts";
import type { ObservedContainer } from "#compose/compose.ts";
import type { Stack } from "#compose/stack.ts";
import { NaruError } from "#lib/errors.ts";

export interface Chosen extends OpenStack {
  readonly containers: readonly ObservedContainer[];
  readonly hasFiles: boolean;
  /** Whether the command is about this service. */
  readonly isMeant: (service: string) => boolean;
}

export interface ChooseOptions extends OpenStackOptions {
  readonly hasOneOff?: boolean;
  /**
   * Who names no service looks at all of the project's containers, but changes only those of
   * services that are in the files and that profiles leave on.
   */
  readonly isOnlyShown?: boolean;
}

/** Services that are neither in the files nor on the engine are an error. */
const checkServices = (
  named: readonly string[],
  stack: Stack,
  containers: readonly ObservedContainer[],
): void => {
  for (const name of named) {
    const isKnown =
      name in stack.model.services || containers.some((container) => container.service === name);
    if (!isKnown) throw new NaruError("not_found", `no such service: "${name}"`);
  }
};

/** Works without the files too, when the project is named with -p. One-off ones are left out. */
export const chooseContainers = async (
  context: CliContext,
  named: readonly string[],
  options: ChooseOptions = {},
): Promise<Chosen> => {
  const { name, project, off } = await findProject(context);
  const { stack, screen } = await openStack(context, project ?? namelessProject(name), options);
  const all = await stack.containers();
  checkServices(named, stack, all);
  const isMeant = (service: string): boolean => {
    if (named.length > 0) return named.includes(service);
    if (project === undefined || options.isOnlyShown === true) return true;
    return service in project.model.services && !off.has(service);
  };
  const containers = all.filter(
    (container) =>
      (options.hasOneOff === true || !container.isOneOff) && isMeant(container.service),
  );
  return { stack, screen, containers, hasFiles: project !== undefined, isMeant };
};

/** The one container `exec`, `port` and others mean: `--index`, else the first. */
export const chooseOne = async (
  context: CliContext,
  service: string,
  index: number | undefined,
): Promise<{ readonly stack: Stack; readonly container: ObservedContainer }> => {
  const { stack, containers } = await chooseContainers(context, [service]);
  const container =
    index === undefined || index === 0
      ? (containers.find((item) => item.state === "running") ?? containers[0])
      : containers.find((item) => item.number === index);
  if (container !== undefined) return { stack, container };
  stack.close();
  throw new NaruError(
    "not_found",
    index === undefined || index === 0
      ? `the service "${service}" has no container; start it with 'naru compose up ${service}'`
      : `the service "${service}" has no container number ${String(index)}`,
  );
};
