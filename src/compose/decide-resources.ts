/** Networks and volumes: what is missing, what has changed. Pure. */
import type { Observed, Operation } from "#compose/compose.ts";
import type { UpOptions } from "#compose/decide.ts";
import { networkHash, volumeHash } from "#compose/hash.ts";
import { LABEL } from "#compose/labels.ts";
import type { Model } from "#spec/compose/compose.ts";
import { NaruError } from "#lib/errors.ts";

export interface Decided {
  readonly operations: readonly Operation[];
  /** Keys of what is made anew although there was one: containers must follow. */
  readonly made: ReadonlySet<string>;
}

export const decideNetworks = (
  model: Model,
  observed: Observed,
  targets: readonly string[],
): Decided => {
  const operations: Operation[] = [];
  const made = new Set<string>();
  const used = new Set(
    targets.flatMap((name) => Object.keys(model.services[name]?.networks ?? {})),
  );
  for (const key of [...used].toSorted()) {
    const network = model.networks?.[key];
    if (network === undefined) continue;
    const found = observed.networks.get(network.name);
    if (network.external === true) {
      if (found !== undefined) continue;
      throw new NaruError(
        "not_found",
        `the network "${network.name}" is declared as external, but the engine has none of that name; create it with 'naru network create ${network.name}'`,
      );
    }
    const id = `network:${key}`;
    if (found === undefined) {
      operations.push({ id, kind: "create-network", key, needs: [], reason: "it is not there" });
      continue;
    }
    const owner = found.labels[LABEL.network];
    if (owner !== undefined && owner !== key) {
      throw new NaruError(
        "conflict",
        `the network "${network.name}" belongs to another part of a project ("${owner}"); give "${key}" another name`,
      );
    }
    const hash = found.labels[LABEL.configHash];
    if (hash === undefined || hash === networkHash(network)) continue;
    made.add(key);
    const removal = `remove-network:${key}`;
    operations.push(
      {
        id: removal,
        kind: "remove-network",
        networkId: found.id,
        name: network.name,
        isOptional: false,
        needs: [],
        reason: "its configuration has changed",
      },
      {
        id,
        kind: "create-network",
        key,
        needs: [removal],
        reason: "its configuration has changed",
      },
    );
  }
  return { operations, made };
};

const volumesUsed = (model: Model, targets: readonly string[]): string[] => {
  const used = new Set<string>();
  for (const name of targets) {
    for (const mount of model.services[name]?.volumes ?? []) {
      if (mount.type === "volume" && mount.source !== undefined) used.add(mount.source);
    }
  }
  return [...used].toSorted();
};

export const decideVolumes = (model: Model, observed: Observed, options: UpOptions): Decided => {
  const operations: Operation[] = [];
  const made = new Set<string>();
  for (const key of volumesUsed(model, options.targets)) {
    const volume = model.volumes?.[key];
    if (volume === undefined) continue;
    const found = observed.volumes.get(volume.name);
    const id = `volume:${key}`;
    if (volume.external === true) {
      if (found !== undefined) continue;
      throw new NaruError(
        "not_found",
        `the volume "${volume.name}" is declared as external, but the engine has none of that name; create it with 'naru volume create ${volume.name}'`,
      );
    }
    if (found === undefined) {
      operations.push({ id, kind: "create-volume", key, needs: [], reason: "it is not there" });
      continue;
    }
    const hash = found.labels[LABEL.configHash];
    const isSame = hash === undefined || hash === volumeHash(volume);
    // Data is never lost because a file has changed: only when it was asked for.
    if (isSame || !options.areVolumesRecreated) continue;
    made.add(key);
    const users = observed.containers.filter((container) =>
      container.mounts.some((mount) => mount.Name === volume.name),
    );
    const reason = "the configuration of its volume has changed";
    operations.push(
      ...users.map((container) => ({
        id: `remove:${container.id}`,
        kind: "remove" as const,
        container,
        hasVolumes: false,
        needs: [],
        reason,
      })),
      {
        id: `remove-volume:${key}`,
        kind: "remove-volume",
        name: volume.name,
        isOptional: false,
        needs: users.map((container) => `remove:${container.id}`),
        reason: "its configuration has changed",
      },
      {
        id,
        kind: "create-volume",
        key,
        needs: [`remove-volume:${key}`],
        reason: "its configuration has changed",
      },
    );
  }
  return { operations, made };
};
