/** From what a container's record holds to the mounts of config.json (runtime-spec, config.md "Mounts"). Pure. */
import type { MountPoint } from "#spec/docker/container.ts";
import type { HostConfig, Mount } from "#spec/docker/host-config.ts";
import type { RuntimeMount } from "#spec/runtime/config.ts";
import { normalizeDestination } from "#volume/mount-spec.ts";
import { tmpfsOptionsOfMount, tmpfsOptionsOfText } from "#volume/tmpfs.ts";

/** The element of `Mounts` that asked for this destination; -v and VOLUME have none. */
export const specOf = (hostConfig: HostConfig, destination: string): Mount | undefined =>
  hostConfig.Mounts?.find((mount) => normalizeDestination(mount.Target) === destination);

/**
 * "rro" makes what is mounted below the source read-only too (mount_setattr(2), as Docker does since
 * 25); it cannot be had together with a propagation that lets later mounts in.
 */
const accessOptions = (
  point: MountPoint,
  spec: Mount | undefined,
  propagation: string,
): string[] => {
  if (point.RW) return ["rw"];
  const isDeep = propagation === "rprivate" && spec?.BindOptions?.ReadOnlyNonRecursive !== true;
  return isDeep ? ["ro", "rro"] : ["ro"];
};

/**
 * `source`: where on the host the tree is. `ownFlags`: those of a volume that is a mount (ro, noexec …): a runtime sets all
 * flags of a bind anew, so they must be told again.
 */
export const bindOf = (
  point: MountPoint,
  spec: Mount | undefined,
  source: string,
  ownFlags: readonly string[] = [],
): RuntimeMount => {
  const propagation = point.Propagation === "" ? "rprivate" : point.Propagation;
  const isFlat = point.Type === "bind" && spec?.BindOptions?.NonRecursive === true;
  return {
    destination: point.Destination,
    type: "bind",
    source,
    options: [
      isFlat ? "bind" : "rbind",
      ...accessOptions(
        ownFlags.includes("ro") ? { ...point, RW: false } : point,
        spec,
        propagation,
      ),
      ...ownFlags.filter((flag) => flag !== "ro"),
      propagation,
    ],
  };
};

/** For a file there is nothing below; crun opens the target of "rro" as a directory and fails. */
export const onFile = (mount: RuntimeMount): RuntimeMount => ({
  ...mount,
  options: mount.options.filter((option) => option !== "rro"),
});

export const tmpfsOf = (point: MountPoint, spec: Mount | undefined): RuntimeMount => ({
  destination: point.Destination,
  type: "tmpfs",
  source: "tmpfs",
  options: [...tmpfsOptionsOfMount(spec?.TmpfsOptions, !point.RW), "rprivate"],
});

/** `HostConfig.Tmpfs`: these are no mount points of inspect. */
export const tmpfsMounts = (hostConfig: HostConfig): RuntimeMount[] =>
  Object.entries(hostConfig.Tmpfs ?? {}).map(([target, text]) => ({
    destination: normalizeDestination(target),
    type: "tmpfs",
    source: "tmpfs",
    options: [...tmpfsOptionsOfText(text), "rprivate"],
  }));
