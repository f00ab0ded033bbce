/** `pre_start`: containers that do something once before a service starts. */
import { createContainer } from "#compose/containers.ts";
import { untilReady } from "#compose/ready.ts";
import type { Stack } from "#compose/stack.ts";
import type { Hook, Service } from "#spec/compose/compose.ts";
import { randomHex } from "#lib/clock.ts";

const asHook = (service: Service, hook: Hook): Service => {
  const { ports: _ports, healthcheck: _health, container_name: _name, ...rest } = service;
  return {
    ...rest,
    entrypoint: [],
    command: [...(hook.command ?? [])],
    restart: "no",
    environment: { ...service.environment, ...hook.environment },
    ...(hook.user === undefined ? {} : { user: hook.user }),
    ...(hook.privileged === undefined ? {} : { privileged: hook.privileged }),
    ...(hook.working_dir === undefined ? {} : { working_dir: hook.working_dir }),
  };
};

/** In their order; each sees the service's mounts and networks. Rejects when one fails. */
export const initializeService = async (stack: Stack, name: string): Promise<void> => {
  const { client, signal } = stack.options;
  for (const [at, hook] of (stack.model.services[name]?.pre_start ?? []).entries()) {
    const slug = randomHex(16);
    // oxlint-disable-next-line no-await-in-loop -- hooks run in their order
    const id = await createContainer(stack, name, {
      number: 0,
      containerName: `${stack.model.name}-${name}-init-${String(at)}-${slug.slice(0, 8)}`,
      oneOff: { slug, isRemoved: false },
      change: (service) => asHook(service, hook),
    });
    try {
      // oxlint-disable-next-line no-await-in-loop
      await client.call("containerStart", { id, signal });
      // oxlint-disable-next-line no-await-in-loop
      await untilReady(
        client,
        stack.events,
        [id],
        "service_completed_successfully",
        stack.waitSignal,
      );
    } finally {
      // oxlint-disable-next-line no-await-in-loop
      await client.call("containerRemove", { id, query: { force: true } });
    }
  }
};
