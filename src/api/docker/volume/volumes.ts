/** Volumes: list, create, inspect, remove, prune. */
import { removalBatch } from "#api/docker/removal-batch.ts";
import { checkFields, TEXT_MAP } from "#api/docker/body-fields.ts";
import type { Call } from "#api/docker/call.ts";
import { textMatcher } from "#api/docker/filter-match.ts";
import { del, get, post, put, type Route } from "#api/docker/route.ts";
import { NaruError } from "#lib/errors.ts";
import { booleanFilter, matchesAny, matchesLabels } from "#spec/docker/filters.ts";
import type { VolumeCreateRequest } from "#spec/docker/volume.ts";

const CREATE_FIELDS = {
  Name: "text",
  Driver: "text",
  DriverOpts: TEXT_MAP,
  Labels: TEXT_MAP,
  ClusterVolumeSpec: "empty",
} as const;

const list = (call: Call): void => {
  const { volumes } = call.backend;
  const filters = call.query.filters(["dangling", "driver", "label", "name"]);
  const isDangling = booleanFilter(filters, "dangling");
  const used = isDangling === undefined ? new Set<string>() : volumes.usedNames();
  const isName = textMatcher(filters.get("name") ?? []);
  const selected = volumes
    .list()
    .filter(
      (volume) =>
        (!filters.has("name") || isName(volume.Name)) &&
        matchesAny(filters, "driver", (value) => volume.Driver === value) &&
        (isDangling === undefined || isDangling === !used.has(volume.Name)) &&
        matchesLabels(filters, volume.Labels ?? {}),
    );
  call.json(200, { Volumes: selected, Warnings: null });
};

/** `size` is naru's own: the tree is walked only for those who ask. */
const inspect = async (call: Call): Promise<void> => {
  const { volumes } = call.backend;
  call.json(
    200,
    call.query.flag("size") ? await volumes.sized(call.name, call.signal) : volumes.get(call.name),
  );
};

const create = async (call: Call): Promise<void> => {
  const body = checkFields((await call.readJson()) ?? {}, CREATE_FIELDS);
  if ("ClusterVolumeSpec" in body) {
    throw new NaruError("not_implemented", "cluster volumes are not supported by naru");
  }
  const volume = await call.backend.volumes.create(body as VolumeCreateRequest);
  call.json(201, volume);
};

const remove = async (call: Call): Promise<void> => {
  const force = call.query.flag("force");
  await call.backend.volumes.remove(call.name, { force, ...removalBatch(call) });
  call.empty(204);
};

const prune = async (call: Call): Promise<void> => {
  const given = call.query.filters(["all", "label", "label!"]);
  // Before 1.42 named volumes were pruned with the anonymous ones.
  const filters = call.minor < 42 ? new Map([...given, ["all", ["true"]] as const]) : given;
  call.json(200, await call.backend.volumes.prune(filters, removalBatch(call)));
};

const update = (): void => {
  throw new NaruError(
    "unavailable",
    "volume update only valid for cluster volumes, but swarm is unavailable",
  );
};

export const volumeRoutes: readonly Route[] = [
  get("/volumes", list),
  post("/volumes/create", create),
  post("/volumes/prune", prune),
  get("/volumes/{name…}", inspect),
  put("/volumes/{name…}", update),
  del("/volumes/{name…}", remove),
];
