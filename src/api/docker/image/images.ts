/** Images in the store: list, inspect, history, tag, remove, prune. */
import { removalBatch } from "#api/docker/removal-batch.ts";
import type { Call } from "#api/docker/call.ts";
import { referenceOf } from "#api/docker/container/files.ts";
import { platformOf, platformsOf } from "#api/docker/image/platform.ts";
import { del, get, post, type Route } from "#api/docker/route.ts";
import { NaruError } from "#lib/errors.ts";
import { ZERO_TIME } from "#lib/clock.ts";
import type { Filters } from "#spec/docker/filters.ts";
import type { ImageSummary } from "#spec/docker/image.ts";

const LIST_FILTERS = ["before", "dangling", "label", "label!", "reference", "since", "until"];

export const shapeSummary = (image: ImageSummary, minor: number): ImageSummary => {
  const isNameless = image.RepoTags.length === 0 && image.RepoDigests.length === 0;
  return {
    ...image,
    // Before 1.43 nothing was written as something.
    ...(minor < 43 && isNameless
      ? { RepoTags: ["<none>:<none>"], RepoDigests: ["<none>@<none>"] }
      : {}),
    ...(minor < 51 ? { Containers: -1 } : {}),
    ...(minor < 44 ? { VirtualSize: image.Size } : {}),
  };
};

/** Below 1.41 a name pattern may come in a parameter of its own. */
const listFilters = (call: Call): Filters => {
  const filters = call.query.filters(LIST_FILTERS);
  const pattern = call.minor < 41 ? call.query.text("filter") : "";
  if (pattern === "" || filters.has("reference")) return filters;
  return new Map([...filters, ["reference", [pattern]] as const]);
};

const list = (call: Call): void => {
  const { query, minor } = call;
  const images = call.backend.images.list({
    isAll: query.flag("all"),
    filters: listFilters(call),
    hasSharedSize: minor >= 42 && query.flag("shared-size"),
    hasManifests: minor >= 47 && query.flag("manifests"),
    hasUsers: minor >= 51,
  });
  call.json(
    200,
    images.map((image) => shapeSummary(image, minor)),
  );
};

/** Fields that are there whether the image says something of them or not. */
const EMPTY_CONFIG = {
  User: "",
  Env: null,
  Cmd: null,
  Volumes: null,
  WorkingDir: "",
  Entrypoint: null,
  OnBuild: null,
  Labels: null,
};

/** Of containers, but shown of images too until 1.49. */
const CONFIG_BEFORE_50 = {
  Hostname: "",
  Domainname: "",
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Image: "",
};

/** What a commit brought along of its container is no part of an image. */
const imageConfig = (config: object, minor: number): object => {
  const own = Object.entries(config).filter(([name]) => !Object.hasOwn(CONFIG_BEFORE_50, name));
  return { ...(minor < 50 ? CONFIG_BEFORE_50 : {}), ...Object.fromEntries(own) };
};

const inspect = (call: Call): void => {
  const { images } = call.backend;
  const platform = call.minor < 49 ? undefined : platformOf(call, "platform");
  if (call.minor >= 48 && call.query.flag("manifests") && platform !== undefined) {
    throw new NaruError(
      "invalid_argument",
      "conflicting options: manifests and platform options cannot both be set",
    );
  }
  const { minor } = call;
  const { Descriptor, Container, ContainerConfig, ...image } = images.inspect(call.name, {
    ...(platform === undefined ? {} : { platform }),
    hasManifests: minor >= 48 && call.query.flag("manifests"),
  });
  const config = { ...EMPTY_CONFIG, ...imageConfig(image.Config, minor) };
  call.json(200, {
    ...image,
    Config: config,
    ...(minor < 48 || Descriptor === undefined ? {} : { Descriptor }),
    ...(minor < 44 ? { VirtualSize: image.Size, Created: image.Created || ZERO_TIME } : {}),
    ...(minor < 45
      ? {
          Container: Container ?? "",
          ContainerConfig: { ...CONFIG_BEFORE_50, ...EMPTY_CONFIG, ...ContainerConfig },
        }
      : {}),
  });
};

const history = (call: Call): void => {
  const platform = call.minor < 48 ? undefined : platformOf(call, "platform");
  call.json(200, call.backend.images.history(call.name, platform));
};

const tag = (call: Call): void => {
  const target = referenceOf(call);
  if (target === undefined) {
    throw new NaruError("invalid_argument", "bad parameter: repo cannot be empty");
  }
  call.backend.images.tag(call.name, target);
  call.empty(201);
};

const remove = async (call: Call): Promise<void> => {
  const { query } = call;
  if (call.name.trim() === "") {
    throw new NaruError("invalid_argument", "image name cannot be blank");
  }
  const platforms = call.minor < 50 ? [] : platformsOf(call, "platforms");
  const removed = await call.backend.images.remove(call.name, {
    isForced: query.flag("force"),
    isParentKept: query.flag("noprune"),
    ...(platforms.length === 0 ? {} : { platforms }),
    ...removalBatch(call),
  });
  call.json(200, removed);
};

const prune = async (call: Call): Promise<void> => {
  const filters = call.query.filters(["dangling", "label", "label!", "until"]);
  call.json(200, await call.backend.images.prune(filters, call.signal, removalBatch(call)));
};

export const imageRoutes: readonly Route[] = [
  get("/images/json", list),
  post("/images/prune", prune),
  get("/images/{name…}/json", inspect),
  get("/images/{name…}/history", history),
  post("/images/{name…}/tag", tag),
  del("/images/{name…}", remove),
];
