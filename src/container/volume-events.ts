/** "mount" and "unmount" of the volumes a container runs on. */
import type { ContainerRecord } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";

export const emitVolumes = (
  engine: Engine,
  record: ContainerRecord,
  action: "mount" | "unmount",
): void => {
  for (const mount of record.mounts) {
    if (mount.Type !== "volume" || mount.Name === undefined) continue;
    const container = { container: record.id, driver: mount.Driver ?? "local" };
    const attributes =
      action === "unmount"
        ? container
        : {
            ...container,
            destination: mount.Destination,
            propagation: mount.Propagation,
            "read/write": String(mount.RW),
          };
    engine.deps.events.publish({
      Type: "volume",
      Action: action,
      Actor: { ID: mount.Name, Attributes: attributes },
    });
  }
};
