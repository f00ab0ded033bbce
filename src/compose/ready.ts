/** Waiting until a service's containers are what others wait for. */
import type { Client } from "#client/client.ts";
import type { ProjectEvents } from "#compose/events.ts";
import { untilSeen } from "#compose/events.ts";
import type { Condition } from "#spec/compose/compose.ts";
import type { InspectResponse } from "#spec/docker/container.ts";
import { NaruError } from "#lib/errors.ts";

const failed = (name: string, reason: string): NaruError =>
  new NaruError("failed_precondition", `container "${name}" ${reason}`, {
    details: { container: name },
  });

/** True when it is so, false when it may still become so. Throws when it cannot any more. */
const judge = (container: InspectResponse, condition: Condition): boolean => {
  const { State: state, HostConfig: host } = container;
  const name = container.Name.slice(1);
  const isOver = state.Status === "exited" || state.Status === "dead";
  const comesBack = state.Restarting || (isOver && host.RestartPolicy.Name === "always");
  if (condition === "service_completed_successfully") {
    if (!isOver) return false;
    if (state.ExitCode === 0) return true;
    throw failed(name, `did not complete successfully: exit ${String(state.ExitCode)}`);
  }
  if (isOver && !comesBack) throw failed(name, `exited (${String(state.ExitCode)})`);
  if (condition === "service_started") return state.Running;
  if (state.Health === undefined || state.Health.Status === "none") {
    if (!state.Running) return false;
    throw failed(name, "has no healthcheck, but another service waits for it to be healthy");
  }
  if (state.Health.Status === "unhealthy") {
    const last = state.Health.Log.at(-1)?.Output.trim() ?? "";
    throw failed(name, `is unhealthy${last === "" ? "" : `: ${last}`}`);
  }
  return state.Health.Status === "healthy";
};

/** Rejects with `failed_precondition` when one of them cannot fulfil it any more. */
export const untilReady = async (
  client: Client,
  events: ProjectEvents,
  ids: readonly string[],
  condition: Condition,
  signal?: AbortSignal,
): Promise<void> => {
  await untilSeen(
    events,
    new Set(ids),
    async () => {
      const found = await Promise.all(
        ids.map((id) => client.call("containerInspect", { id, signal })),
      );
      return found.every((container) => judge(container, condition)) ? true : undefined;
    },
    signal,
  );
};
