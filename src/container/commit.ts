/** POST /commit: a container's changes become a layer, its config an image. */
import { mkdirSync, rmSync } from "node:fs";
import { randomHex } from "#lib/clock.ts";
import { failpoint } from "#lib/failpoint.ts";
import { diffOptionsOf } from "#container/archive.ts";
import type { ContainerRecord } from "#container/container.ts";
import type { CommitRequest } from "#container/containers.ts";
import type { Engine } from "#container/engine.ts";
import { mergeEnv } from "#container/runtime-config/process.ts";
import type { LayerTar } from "#image/image.ts";
import { applyChanges } from "#spec/image/change.ts";
import type { ContainerConfig } from "#spec/docker/container-config.ts";

/** Processes stand still while their files are read, unless the caller says otherwise. */
const frozen = async (
  engine: Engine,
  record: ContainerRecord,
  isPaused: boolean,
): Promise<AsyncDisposable> => {
  const cgroup = engine.cgroupOf(record);
  const freezes = isPaused && record.state.status === "running";
  if (freezes) await engine.deps.cgroups.freeze(cgroup);
  return {
    [Symbol.asyncDispose]: async () => {
      if (freezes) await engine.deps.cgroups.thaw(cgroup);
    },
  };
};

/** Of a tar without entries: what nothing changed makes no layer. */
const EMPTY_TAR = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

/** The changes as a tar, which the image takes over; disposing removes what it did not take. */
const layerOf = async (engine: Engine, record: ContainerRecord): Promise<LayerTar & Disposable> => {
  const { snapshots, temporary } = engine.deps;
  mkdirSync(temporary, { recursive: true, mode: 0o700 });
  const path = `${temporary}/commit-${randomHex(8)}.tar`;
  const { diffId } = await snapshots.diffTar(record.id, path, diffOptionsOf(record));
  return { path, diffId, [Symbol.dispose]: () => rmSync(path, { force: true }) };
};

/** What the request overrides, then the Dockerfile instructions of `changes`. */
const configOf = (record: ContainerRecord, request: CommitRequest): Partial<ContainerConfig> => {
  const own = request.config ?? {};
  const merged: Partial<ContainerConfig> = { ...record.config };
  for (const [key, value] of Object.entries(own)) {
    const isEmpty =
      value === null ||
      value === "" ||
      value === false ||
      (Array.isArray(value) && value.length === 0);
    if (!isEmpty && value !== undefined && key !== "Image") Object.assign(merged, { [key]: value });
  }
  merged.Env = mergeEnv(record.config.Env, own.Env ?? []);
  merged.Labels = { ...record.config.Labels, ...own.Labels };
  return applyChanges(merged, request.changes);
};

export const commitContainer = (
  engine: Engine,
  request: CommitRequest,
): Promise<{ Id: string }> => {
  const { id } = engine.states.get(request.container);
  return engine.actors.run(id, async () => {
    const record = engine.current(id);
    const config = configOf(record, request);
    await using _pause = await frozen(engine, record, request.pause);
    using layer = await layerOf(engine, record);
    failpoint("commit.after-layer");
    failpoint("commit.before-row");
    const image = await engine.deps.images.createFromLayer({
      parent: record.imageId,
      layer: layer.diffId === EMPTY_TAR ? undefined : layer,
      config,
      createdBy: [record.path, ...record.args].join(" "),
      author: request.author,
      message: request.comment,
      container: record.id,
      containerConfig: record.config,
      ...(request.reference === undefined ? {} : { reference: request.reference }),
    });
    engine.emit(record, "commit", {
      comment: request.comment,
      imageID: image,
      imageRef: request.reference ?? "",
    });
    return { Id: image };
  });
};
