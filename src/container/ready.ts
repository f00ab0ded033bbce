/**
 * Which containers can have a monitor that was loaded before (`Runtime.takeReady`): those without terminal and
 * stdin, and without mounts of the user's, which a mount namespace from before may not know.
 */
import { randomHex } from "#lib/clock.ts";
import { removeDirectory } from "#lib/remove-directory.ts";
import type { ContainerRecord } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import type { CreateRequest } from "#spec/docker/container.ts";

/** A container's id; one with a ready monitor where the request looks as if it could be used. */
export const newContainerId = (engine: Engine, request: CreateRequest): string => {
  const { Tty, OpenStdin, Volumes } = request;
  const host = request.HostConfig ?? {};
  const isPlain =
    Tty !== true &&
    OpenStdin !== true &&
    (host.Binds ?? []).length === 0 &&
    (host.Mounts ?? []).length === 0 &&
    (host.VolumesFrom ?? []).length === 0 &&
    Object.keys(Volumes ?? {}).length === 0 &&
    (host.LogConfig?.Type ?? "") !== "none";
  const runtime = host.Runtime ? host.Runtime : engine.deps.facts.defaultRuntime;
  const ready = isPlain ? engine.deps.runtimes.get(runtime)?.takeReady() : undefined;
  return ready ?? randomHex(32);
};

/** Nothing of it is mounted on the host for its start. */
export const needsNoHostMounts = ({ hostConfig, mounts }: ContainerRecord): boolean =>
  mounts.length === 0 &&
  (hostConfig.Mounts ?? []).length === 0 &&
  hostConfig.IpcMode !== "shareable" &&
  !hostConfig.IpcMode.startsWith("container:");

/** The container is not started soon: its monitor, if it has a ready one, ends. */
export const dropReady = (engine: Engine, id: string): void => {
  for (const runtime of engine.deps.runtimes.values()) runtime.dropReady(id);
};

/** The create failed: nothing stays of the id, unless there is a container of it all the same. */
export const giveUpReady = (engine: Engine, id: string): void => {
  if (engine.states.find(id) !== undefined) return;
  dropReady(engine, id);
  removeDirectory(engine.directoryOf(id));
};
