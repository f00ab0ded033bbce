/**
 * All mounts of one container, in the order of precedence that Docker has: what other containers
 * lend (--volumes-from), then -v, then --mount, each taking the place of an earlier one at the same
 * destination; then the image's VOLUMEs where nothing is yet. Pure.
 */
import { NaruError } from "#lib/errors.ts";
import type { MountPoint } from "#spec/docker/container.ts";
import type { Mount } from "#spec/docker/host-config.ts";
import { parseVolumesFrom } from "#volume/mount-mode.ts";
import {
  type MountWish,
  checkDestination,
  normalizeDestination,
  parseBind,
  parseMount,
} from "#volume/mount-spec.ts";

export interface MountsInput {
  readonly binds: readonly string[];
  readonly mounts: readonly Mount[];
  readonly tmpfs: Readonly<Record<string, string>>;
  readonly volumesFrom: readonly string[];
  /** Destinations of `Config.Volumes`: the image's VOLUMEs and `-v /path`. */
  readonly volumes: readonly string[];
  readonly volumeDriver: string;
  readonly mountsOf: (container: string) => readonly MountPoint[];
}

/** Lent by another container: taken over as it is. */
export interface LentMount {
  readonly type: "lent";
  readonly destination: string;
  readonly point: MountPoint;
}

export type ContainerMount = MountWish | LentMount;

/** Parents before children; among equals by name, so that the order never changes. */
export const byDepth = (a: string, b: string): number =>
  a.split("/").length - b.split("/").length || (a < b ? -1 : a > b ? 1 : 0);

const lentMounts = (input: MountsInput): LentMount[] =>
  input.volumesFrom.map(parseVolumesFrom).flatMap(({ container, isReadOnly }) =>
    input.mountsOf(container).map((point) => ({
      type: "lent" as const,
      destination: point.Destination,
      point: { ...point, Mode: "", RW: point.RW && !isReadOnly },
    })),
  );

const duplicate = (destination: string): never => {
  throw new NaruError("invalid_argument", `Duplicate mount point: ${destination}`);
};

/** Throws invalid_argument; what `mountsOf` throws passes through. */
export const resolveMounts = (input: MountsInput): ContainerMount[] => {
  const tmpfs = new Set(Object.keys(input.tmpfs).map(checkDestination));
  const result = new Map<string, ContainerMount>();
  for (const mount of lentMounts(input)) result.set(mount.destination, mount);
  const asked = new Set<string>();
  const wishes = [
    ...input.binds.map((text) => parseBind(text, input.volumeDriver)),
    ...input.mounts.map(parseMount),
  ];
  for (const wish of wishes) {
    const { destination } = wish;
    if (asked.has(destination) || tmpfs.has(destination)) duplicate(destination);
    asked.add(destination);
    result.set(destination, wish);
  }
  for (const path of input.volumes) {
    const destination = normalizeDestination(path);
    if (result.has(destination) || tmpfs.has(destination)) continue;
    result.set(destination, {
      type: "volume",
      destination: checkDestination(path),
      name: undefined,
      driver: input.volumeDriver || "local",
      driverOptions: {},
      labels: {},
      isCopiedUp: true,
      isReadOnly: false,
      mode: "",
    });
  }
  // A tmpfs hides what a lender has at its place.
  return [...result.values()]
    .filter((mount) => !tmpfs.has(mount.destination))
    .toSorted((a, b) => byDepth(a.destination, b.destination));
};
