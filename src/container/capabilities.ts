/** The capabilities of a container's processes. */
import type { HostFacts } from "#container/normalize-host.ts";
import type { HostConfig } from "#spec/docker/host-config.ts";
import { type Capability, resolveCapabilities } from "#spec/runtime/capabilities.ts";

/** `isPrivileged`: of an exec that asks for more than its container has. */
export const capabilitiesOf = (
  facts: HostFacts,
  host: HostConfig,
  isPrivileged: boolean = host.Privileged,
): Capability[] =>
  resolveCapabilities({
    add: host.CapAdd ?? [],
    drop: host.CapDrop ?? [],
    privileged: isPrivileged,
    available: facts.capabilities,
  });
