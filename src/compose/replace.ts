/** A container in place of another: after it, or before it goes when nothing may be missed. */
import type { ObservedContainer } from "#compose/compose.ts";
import {
  createContainer,
  ownName,
  removeContainer,
  startContainer,
  stopContainer,
} from "#compose/containers.ts";
import { LABEL } from "#compose/labels.ts";
import { untilReady } from "#compose/ready.ts";
import type { Stack } from "#compose/stack.ts";
import type { Condition } from "#spec/compose/compose.ts";
import { parseDuration } from "#spec/compose/units.ts";
import { sleep } from "#lib/clock.ts";
import { toNaruError, NaruError } from "#lib/errors.ts";

const temporaryName = (old: ObservedContainer, name: string): string =>
  `${old.id.slice(0, 12)}_${name}`;

const createBeside = (
  stack: Stack,
  service: string,
  number: number,
  old: ObservedContainer,
): Promise<string> => {
  const name = ownName(stack, service, number);
  const replaced = stack.model.services[service]?.container_name ?? `${service}-${String(number)}`;
  return createContainer(stack, service, {
    number,
    containerName: temporaryName(old, name),
    replaces: old,
    extraLabels: { [LABEL.replace]: replaced },
  });
};

/** The old one stops when the new one is there, so that a failing creation changes nothing. */
export const recreate = async (
  stack: Stack,
  service: string,
  number: number,
  old: ObservedContainer,
): Promise<string> => {
  const { client } = stack.options;
  const id = await createBeside(stack, service, number, old);
  await stopContainer(stack, old);
  await removeContainer(stack, old, false);
  await client.call("containerRename", { id, query: { name: ownName(stack, service, number) } });
  return id;
};

const DEFAULT_MONITOR_MS = 1000;

/** Healthy when it has a check; else it must still run after a moment (`update_config.monitor`). */
const proveItself = async (stack: Stack, service: string, id: string): Promise<void> => {
  const { client, events, options } = { ...stack.options, events: stack.events, options: stack };
  const { State: state } = await client.call("containerInspect", { id });
  const condition: Condition = state.Health === undefined ? "service_started" : "service_healthy";
  await untilReady(client, events, [id], condition, stack.waitSignal);
  if (condition === "service_healthy") return;
  const monitor = options.model.services[service]?.deploy?.update_config?.monitor;
  const waitMs = monitor === undefined ? DEFAULT_MONITOR_MS : (parseDuration(monitor) ?? 0) / 1e6;
  await sleep(waitMs, stack.waitSignal);
  await untilReady(client, events, [id], condition, stack.waitSignal);
};

const hasFixedPorts = (stack: Stack, service: string): boolean =>
  (stack.model.services[service]?.ports ?? []).some(
    (port) => port.published !== undefined && !port.published.includes("-"),
  );

/**
 * Rolling: the new container proves itself before the old one goes. Where both cannot run at once,
 * because they publish the same port, the old one is stopped first. When the new one fails it is
 * removed and the old one runs as before; then this rejects.
 */
export const replaceRolling = async (
  stack: Stack,
  service: string,
  number: number,
  old: ObservedContainer,
): Promise<string> => {
  const { client } = stack.options;
  const name = ownName(stack, service, number);
  const isExclusive =
    hasFixedPorts(stack, service) ||
    stack.model.services[service]?.deploy?.update_config?.order === "stop-first";
  const id = await createBeside(stack, service, number, old);
  try {
    if (isExclusive) await stopContainer(stack, old);
    await startContainer(stack, id, service);
    stack.tell({ subject: `Container ${name}`, status: "Proving", phase: "begin" });
    await proveItself(stack, service, id);
  } catch (error) {
    await client.call("containerRemove", { id, query: { force: true } });
    if (isExclusive) await client.call("containerStart", { id: old.id });
    stack.tell({ subject: `Container ${name}`, status: "Rolled back", phase: "fail" });
    throw new NaruError(
      "aborted",
      `the new container of "${service}" did not prove itself, "${old.name}" runs on as before: ${toNaruError(error).message}`,
      { cause: error },
    );
  }
  if (!isExclusive) await stopContainer(stack, old);
  await removeContainer(stack, old, false);
  await client.call("containerRename", { id, query: { name } });
  return id;
};
