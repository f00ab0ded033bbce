/** Operations of a plan, one by one: the only place that changes an engine for `up` and `down`. */
import type { Operation } from "#compose/compose.ts";
import {
  createContainer,
  ownName,
  removeContainer,
  restartContainer,
  startContainer,
  stopContainer,
} from "#compose/containers.ts";
import { volumeHash } from "#compose/hash.ts";
import { initializeService } from "#compose/initialize.ts";
import { LABEL } from "#compose/labels.ts";
import { pullImage } from "#compose/pull.ts";
import { untilReady } from "#compose/ready.ts";
import { recreate, replaceRolling } from "#compose/replace.ts";
import { networkRequest } from "#compose/request/network.ts";
import type { Stack } from "#compose/stack.ts";
import type { Volume } from "#spec/compose/compose.ts";
import { NaruError, hasCode, toNaruError } from "#lib/errors.ts";
import { VERSION } from "#lib/version.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { kind: K }>;

const createNetwork = async (operation: Of<"create-network">, stack: Stack): Promise<void> => {
  const network = stack.model.networks?.[operation.key];
  if (network === undefined) return;
  try {
    await stack.options.client.call("networkCreate", {
      body: networkRequest(operation.key, network, stack.model, VERSION),
    });
  } catch (error) {
    // Another command made it at the same time.
    const isThere = hasCode(error, "conflict") || hasCode(error, "already_exists");
    if (!isThere) throw error;
    await stack.options.client.call("networkInspect", { id: network.name });
  }
};

/** It was told that it is not done, and why. */
const SKIPPED = Symbol("skipped");
type Outcome = Promise<typeof SKIPPED | undefined>;

const removeNetwork = async (operation: Of<"remove-network">, stack: Stack): Outcome => {
  const { client } = stack.options;
  const { networkId: id, name } = operation;
  // Who is still there when a project has gone down was meant to stay, with its network.
  const own = new Set(
    operation.isOptional ? [] : stack.observed.containers.map((container) => container.id),
  );
  try {
    const { Containers: containers } = await client.call("networkInspect", { id });
    const attached = Object.entries(containers ?? {});
    const others = attached.filter(([container]) => !own.has(container));
    if (others.length > 0) {
      const names = others.map(([, container]) => `"${container.Name}"`).join(", ");
      const detail = `the network "${name}" is still used by ${names}`;
      if (!operation.isOptional) throw new NaruError("conflict", `${detail}; disconnect them`);
      stack.tell({ subject: `Network ${name}`, status: "In use", phase: "skip", detail });
      return SKIPPED;
    }
    const body = { Force: true };
    await Promise.all(
      attached.map(([Container]) =>
        client.call("networkDisconnect", { id, body: { ...body, Container } }),
      ),
    );
    await client.call("networkRemove", { id });
  } catch (error) {
    if (!hasCode(error, "not_found")) throw error;
  }
  return undefined;
};

/** What marks a volume as the project's. */
export const volumeLabels = (
  key: string,
  volume: Volume,
  project: string,
): Record<string, string> => ({
  ...volume.labels,
  [LABEL.configHash]: volumeHash(volume),
  [LABEL.project]: project,
  [LABEL.version]: VERSION,
  [LABEL.volume]: key,
});

const createVolume = async (operation: Of<"create-volume">, stack: Stack): Promise<void> => {
  const volume = stack.model.volumes?.[operation.key];
  if (volume === undefined) return;
  await stack.options.client.call("volumeCreate", {
    body: {
      Name: volume.name,
      ...(volume.driver === undefined ? {} : { Driver: volume.driver }),
      ...(volume.driver_opts === undefined ? {} : { DriverOpts: volume.driver_opts }),
      Labels: volumeLabels(operation.key, volume, stack.model.name),
    },
  });
};

const ignoreMissing = async (action: Promise<unknown>): Promise<void> => {
  try {
    await action;
  } catch (error) {
    if (!hasCode(error, "not_found")) throw error;
  }
};

const removeVolume = async (operation: Of<"remove-volume">, stack: Stack): Outcome => {
  const { name, isOptional } = operation;
  try {
    await ignoreMissing(stack.options.client.call("volumeRemove", { name }));
    return undefined;
  } catch (error) {
    if (!isOptional || !hasCode(error, "conflict")) throw error;
    const detail = toNaruError(error).message;
    stack.tell({ subject: `Volume ${name}`, status: "In use", phase: "skip", detail });
    return SKIPPED;
  }
};

const create = async (operation: Of<"create">, stack: Stack): Promise<void> => {
  const { service, number, replaces } = operation;
  const make = (): Promise<string> => {
    if (replaces === undefined) {
      return createContainer(stack, service, {
        number,
        containerName: ownName(stack, service, number),
      });
    }
    return (operation.isRolling ? replaceRolling : recreate)(stack, service, number, replaces);
  };
  stack.made.set(`${service}:${String(number)}`, await make());
};

const start = async (operation: Of<"start">, stack: Stack): Promise<void> => {
  const id =
    operation.container?.id ??
    stack.made.get(`${operation.service}:${String(operation.number)}`) ??
    "";
  await startContainer(stack, id, operation.service);
};

const awaitService = async (operation: Of<"await">, stack: Stack): Outcome => {
  const { client, host } = stack.options;
  const ids = stack.idsOf(operation.service);
  if (ids.length === 0) return undefined;
  try {
    await untilReady(client, stack.events, ids, operation.condition, stack.waitSignal);
  } catch (error) {
    if (operation.isRequired) throw error;
    host.onProgress({
      subject: `Service ${operation.service}`,
      status: "Skipped",
      phase: "skip",
      detail: toNaruError(error).message,
    });
    return SKIPPED;
  }
  return undefined;
};

const carryOut = (operation: Operation, stack: Stack): Promise<unknown> => {
  const { client, host } = stack.options;
  switch (operation.kind) {
    case "pull":
      return pullImage(stack, operation.image, stack.model.services[operation.service]?.platform);
    case "build":
      return host.buildImage(operation.service, operation.image);
    case "create-network":
      return createNetwork(operation, stack);
    case "remove-network":
      return removeNetwork(operation, stack);
    case "create-volume":
      return createVolume(operation, stack);
    case "remove-volume":
      return removeVolume(operation, stack);
    case "initialize":
      return initializeService(stack, operation.service);
    case "create":
      return create(operation, stack);
    case "start":
      return start(operation, stack);
    case "restart":
      return restartContainer(stack, operation.container);
    case "stop":
      return stopContainer(stack, operation.container);
    case "remove":
      return removeStopped(operation, stack);
    case "await":
      return awaitService(operation, stack);
    case "rename":
      return client.call("containerRename", {
        id: operation.container.id,
        query: { name: operation.name },
      });
    case "remove-image":
      return ignoreMissing(client.call("imageRemove", { name: operation.image }));
  }
};

const removeStopped = async (operation: Of<"remove">, stack: Stack): Promise<void> => {
  if (operation.container.state === "running" || operation.container.state === "paused") {
    await stopContainer(stack, operation.container);
  }
  await removeContainer(stack, operation.container, operation.hasVolumes);
};

const WORDS: Readonly<Record<Operation["kind"], readonly [begin: string, done: string]>> = {
  pull: ["Pulling", "Pulled"],
  build: ["Building", "Built"],
  "create-network": ["Creating", "Created"],
  "remove-network": ["Removing", "Removed"],
  "create-volume": ["Creating", "Created"],
  "remove-volume": ["Removing", "Removed"],
  initialize: ["Initializing", "Initialized"],
  create: ["Creating", "Created"],
  start: ["Starting", "Started"],
  restart: ["Restarting", "Restarted"],
  stop: ["Stopping", "Stopped"],
  remove: ["Removing", "Removed"],
  await: ["Waiting", "Ready"],
  rename: ["Renaming", "Renamed"],
  "remove-image": ["Removing", "Removed"],
};

const REPLACE = ["Recreate", "Recreated"] as const;

const CONDITION_WORDS = {
  service_started: "Running",
  service_healthy: "Healthy",
  service_completed_successfully: "Exited",
} as const;

const subjectsOf = (operation: Operation, stack: Stack): string[] => {
  switch (operation.kind) {
    case "pull":
    case "build":
    case "remove-image":
      return [`Image ${operation.image}`];
    case "create-network":
      return [`Network ${stack.model.networks?.[operation.key]?.name ?? operation.key}`];
    case "create-volume":
      return [`Volume ${stack.model.volumes?.[operation.key]?.name ?? operation.key}`];
    case "remove-network":
      return [`Network ${operation.name}`];
    case "remove-volume":
      return [`Volume ${operation.name}`];
    case "initialize":
      return [`Service ${operation.service}`];
    case "create":
    case "start":
      return [`Container ${ownName(stack, operation.service, operation.number)}`];
    case "await":
      return stack
        .idsOf(operation.service)
        .map((_id, at) => `Container ${ownName(stack, operation.service, at + 1)}`);
    case "restart":
    case "stop":
    case "remove":
    case "rename":
      return [`Container ${operation.container.name}`];
  }
};

const wordsOf = (operation: Operation): readonly [string, string] => {
  if (operation.kind === "create" && operation.replaces !== undefined) return REPLACE;
  if (operation.kind === "await") return ["Waiting", CONDITION_WORDS[operation.condition]];
  return WORDS[operation.kind];
};

/** Does it and tells what happens. Rejects with the engine's or its own words. */
export const execute = async (operation: Operation, stack: Stack): Promise<void> => {
  const [begin, done] = wordsOf(operation);
  const subjects = subjectsOf(operation, stack);
  for (const subject of subjects) stack.tell({ subject, status: begin, phase: "begin" });
  try {
    if ((await carryOut(operation, stack)) === SKIPPED) {
      if (operation.kind !== "await") return;
      for (const subject of subjects) stack.tell({ subject, status: "Skipped", phase: "skip" });
      return;
    }
  } catch (error) {
    const detail = toNaruError(error).message;
    for (const subject of subjects) stack.tell({ subject, status: "Error", phase: "fail", detail });
    throw error;
  }
  for (const subject of subjects) stack.tell({ subject, status: done, phase: "done" });
};
