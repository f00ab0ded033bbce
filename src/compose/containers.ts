/** What is done to one container: create, start, stop, remove, replace. */
import type { ObservedContainer } from "#compose/compose.ts";
import { injectFiles } from "#compose/inject.ts";
import { containerName, imageOf } from "#compose/names.ts";
import { referencedServices, resolveReferences } from "#compose/references.ts";
import { containerRequest } from "#compose/request/request.ts";
import { profileOf } from "#compose/request/security.ts";
import type { RequestContext } from "#compose/request/request.ts";
import { runHooks } from "#compose/hooks.ts";
import type { Stack } from "#compose/stack.ts";
import type { Service } from "#spec/compose/compose.ts";
import { compareVersions } from "#spec/docker/api-version.ts";
import { NaruError, hasCode } from "#lib/errors.ts";

/** The service with references to other services turned into containers. */
export const resolvedService = (stack: Stack, name: string): Service => {
  const service = stack.model.services[name];
  if (service === undefined) throw new NaruError("not_found", `no such service: "${name}"`);
  for (const other of referencedServices(service)) {
    if (stack.idsOf(other).length > 0) continue;
    throw new NaruError(
      "failed_precondition",
      `the service "${name}" shares with "${other}", which has no container`,
    );
  }
  return resolveReferences(service, (other) => stack.idsOf(other)[0]);
};

/**
 * `--link` lines. On its networks a service is known by its name to all; a second name is one for it that the
 * linking service alone knows. On the default bridge there are no names: links lead to the first container.
 */
const linksOf = (stack: Stack, service: Service): string[] => {
  const isOnDefaultBridge = ["bridge", "default"].includes(service.network_mode ?? "");
  const own = (service.links ?? []).flatMap((line) => {
    const [target = "", alias = target] = line.split(":");
    if (isOnDefaultBridge) return [`${ownName(stack, target, 1)}:${alias}`];
    return alias === target ? [] : [`${target}:${alias}`];
  });
  return [...own, ...(service.external_links ?? [])];
};

/** Files of seccomp profiles, compacted; names are relative to the project's folder. */
const seccompProfiles = async (
  stack: Stack,
  service: Service,
): Promise<ReadonlyMap<string, string>> => {
  const { host, project } = stack.options;
  const profiles = new Map<string, string>();
  for (const path of (service.security_opt ?? []).flatMap((option) => profileOf(option) ?? [])) {
    const file = path.startsWith("/") ? path : `${project.workingDirectory}/${path}`;
    // oxlint-disable-next-line no-await-in-loop -- one at most
    const text = Buffer.from(await host.readFile(file)).toString("utf8");
    try {
      profiles.set(path, JSON.stringify(JSON.parse(text)));
    } catch (cause) {
      throw new NaruError("invalid_argument", `the seccomp profile "${file}" is not valid JSON`, {
        cause,
      });
    }
  }
  return profiles;
};

/** Several networks in one creation are known since 1.44. */
const MANY_NETWORKS = "1.44";

interface CreateOptions {
  readonly number: number;
  readonly containerName: string;
  readonly replaces?: ObservedContainer | undefined;
  readonly oneOff?: RequestContext["oneOff"];
  readonly extraLabels?: Readonly<Record<string, string>>;
  /** One-off containers do not answer to the service's names, unless asked to. */
  readonly hasAliases?: boolean;
  /** What the command line changes: `run -e`, hooks. */
  readonly change?: (service: Service) => Service;
}

/** Creates, connects and fills a container; on failure nothing of it is left. */
export const createContainer = async (
  stack: Stack,
  name: string,
  options: CreateOptions,
): Promise<string> => {
  const { client, project, signal } = stack.options;
  const resolved = resolvedService(stack, name);
  const service = options.change?.(resolved) ?? resolved;
  const image = imageOf(project.model, name);
  const { body, endpoints } = containerRequest({
    project,
    name,
    service,
    number: options.number,
    imageId: stack.observed.images.get(image),
    replaces: options.replaces,
    links: linksOf(stack, service),
    profiles: await seccompProfiles(stack, service),
    // One that replaces another gets its name once that is gone; its alias is that name already.
    ownName:
      options.oneOff === undefined
        ? containerName(project.model.name, name, service, options.number)
        : options.containerName,
    ...(options.oneOff === undefined ? {} : { oneOff: options.oneOff }),
    ...(options.extraLabels === undefined ? {} : { extraLabels: options.extraLabels }),
    hasAliases: options.hasAliases ?? options.oneOff === undefined,
  });
  const isOld = compareVersions(client.version, MANY_NETWORKS) < 0;
  const [primary, ...others] = endpoints.settings;
  if (isOld && primary !== undefined) {
    body.NetworkingConfig = { EndpointsConfig: Object.fromEntries([primary]) };
  }
  const platform = service.platform ?? project.environment["DOCKER_DEFAULT_PLATFORM"];
  const { Id: id } = await client.call("containerCreate", {
    query: { name: options.containerName, platform },
    body,
    signal,
  });
  try {
    if (isOld) {
      for (const [network, EndpointConfig] of others) {
        // oxlint-disable-next-line no-await-in-loop -- their order is the order of interfaces
        await client.call("networkConnect", {
          id: network,
          body: { Container: id, EndpointConfig },
        });
      }
    }
    await injectFiles(id, name, service, stack.options);
  } catch (error) {
    await client.call("containerRemove", { id, query: { force: true, v: true } });
    throw error;
  }
  return id;
};

const stopSeconds = (stack: Stack): number | undefined => stack.options.stopTimeout;

export const stopContainer = async (stack: Stack, container: ObservedContainer): Promise<void> => {
  const { client } = stack.options;
  const service = stack.model.services[container.service];
  await runHooks(stack, container.id, service?.pre_stop ?? []);
  try {
    await client.call("containerStop", { id: container.id, query: { t: stopSeconds(stack) } });
  } catch (error) {
    if (!hasCode(error, "not_modified") && !hasCode(error, "not_found")) throw error;
  }
};

/** One request: who follows its output or waits for its end sees that it goes on. */
export const restartContainer = async (
  stack: Stack,
  container: ObservedContainer,
): Promise<void> => {
  const service = stack.model.services[container.service];
  const { id, state } = container;
  if (state === "running") await runHooks(stack, id, service?.pre_stop ?? []);
  const { client, signal } = stack.options;
  await client.call("containerRestart", { id, query: { t: stopSeconds(stack) }, signal });
  await runHooks(stack, id, service?.post_start ?? []);
};

/** Gone is gone: that somebody else removed it meanwhile is no failure. */
export const removeContainer = async (
  stack: Stack,
  container: ObservedContainer,
  hasVolumes: boolean,
): Promise<void> => {
  stack.removed.add(container.id);
  try {
    await stack.options.client.call("containerRemove", {
      id: container.id,
      query: { v: hasVolumes, force: true },
    });
  } catch (error) {
    if (!hasCode(error, "not_found")) throw error;
  }
};

export const startContainer = async (
  stack: Stack,
  id: string,
  service: string | undefined,
): Promise<void> => {
  await stack.options.client.call("containerStart", { id, signal: stack.options.signal });
  const hooks = service === undefined ? [] : (stack.model.services[service]?.post_start ?? []);
  await runHooks(stack, id, hooks);
};

/** Of a service's container: "project-service-1", or what the file calls it. */
export const ownName = (stack: Stack, service: string, number: number): string =>
  containerName(stack.model.name, service, stack.model.services[service], number);
