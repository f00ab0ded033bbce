/** The filters of GET /containers/json: read and checked once, then asked of each record. */
import { portSummaries } from "#api/docker/container/summary.ts";
import type { DockerBackend } from "#api/docker/backend.ts";
import { textMatcher } from "#api/docker/filter-match.ts";
import { type ContainerRecord, isLive } from "#container/container.ts";
import { ZERO_TIME } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import { booleanFilter, type Filters, matchesAny, matchesLabels } from "#spec/docker/filters.ts";

export const CONTAINER_FILTERS: readonly string[] = [
  "ancestor",
  "before",
  "exited",
  "expose",
  "health",
  "id",
  "is-task",
  "isolation",
  "label",
  "name",
  "network",
  "publish",
  "since",
  "status",
  "volume",
];
const STATES = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
const HEALTHS = ["none", "starting", "healthy", "unhealthy"];

const refuse = (message: string): never => {
  throw new NaruError("invalid_argument", message);
};

const checkWords = (filters: Filters, key: string, noun: string, words: string[]): void => {
  for (const value of filters.get(key) ?? []) {
    if (words.includes(value)) continue;
    refuse(
      `invalid filter '${key}=${value}': invalid value for ${noun} (${value}): must be one of ${words.join(", ")}`,
    );
  }
};

const exitCodes = (filters: Filters): number[] =>
  (filters.get("exited") ?? []).map((value) =>
    /^[+-]?\d{1,9}$/.test(value)
      ? Number(value)
      : refuse(`invalid filter 'exited=${value}': "${value}" is not a number`),
  );

/** "80", "80/udp", "8000-8010/tcp" as a set of "80/tcp". */
const portSet = (filters: Filters, key: string): ReadonlySet<string> => {
  const ports = new Set<string>();
  for (const value of filters.get(key) ?? []) {
    if (value.includes(":")) refuse(`filter for '${key}' should not contain ':': ${value}`);
    const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/([a-z]+))?$/.exec(value);
    const start = Number(match?.[1]);
    const end = Number(match?.[2] ?? match?.[1]);
    if (match === null || end < start || end > 65_535) {
      refuse(`error while looking up for ${key} ${value}: invalid port range`);
    }
    for (let port = start; port <= end; port += 1) ports.add(`${port}/${match?.[3] ?? "tcp"}`);
  }
  return ports;
};

/** Ids of the images named and of all images made from them. */
const ancestorIds = (filters: Filters, images: DockerBackend["images"]): ReadonlySet<string> => {
  const ids = new Set<string>();
  for (const name of filters.get("ancestor") ?? []) {
    const image = images.find(name);
    if (image !== undefined) ids.add(image.id);
  }
  if (ids.size === 0) return ids;
  const all = images.list({ isAll: true, filters: new Map() });
  for (let before = 0; before !== ids.size;) {
    before = ids.size;
    for (const { Id, ParentId } of all) if (ids.has(ParentId)) ids.add(Id);
  }
  return ids;
};

const hasVolume = (record: ContainerRecord, value: string): boolean =>
  record.mounts.some(
    ({ Name, Source, Destination }) => Destination === value || (Name ?? Source) === value,
  );

const isInNetwork = (record: ContainerRecord, value: string): boolean =>
  Object.entries(record.endpoints).some(
    ([name, { NetworkID }]) => name === value || (value !== "" && NetworkID.startsWith(value)),
  );

export interface ContainerFilter {
  /** A status filter looks at stopped containers too. */
  readonly isAll: boolean;
  readonly before: ContainerRecord | undefined;
  readonly since: ContainerRecord | undefined;
  matches(record: ContainerRecord): boolean;
}

const lastOf = (filters: Filters, key: string, backend: DockerBackend) => {
  const value = filters.get(key)?.at(-1);
  return value === undefined ? undefined : backend.containers.get(value);
};

export const createContainerFilter = (
  filters: Filters,
  backend: DockerBackend,
): ContainerFilter => {
  checkWords(filters, "status", "state", STATES);
  checkWords(filters, "health", "health", HEALTHS);
  const exited = exitCodes(filters);
  const published = portSet(filters, "publish");
  const exposed = portSet(filters, "expose");
  const isName = textMatcher(filters.get("name") ?? []);
  const ancestors = filters.has("ancestor") ? ancestorIds(filters, backend.images) : undefined;
  const isTask = booleanFilter(filters, "is-task");

  const matchesPorts = (record: ContainerRecord): boolean =>
    portSummaries(record.ports).some(
      ({ PublicPort, PrivatePort, Type }) =>
        published.has(`${PublicPort}/${Type}`) || exposed.has(`${PrivatePort}/${Type}`),
    ) || Object.keys(record.config.ExposedPorts ?? {}).some((port) => exposed.has(port));

  const matchesState = ({ state }: ContainerRecord): boolean =>
    matchesAny(filters, "status", (value) => value === state.status) &&
    matchesAny(filters, "health", (value) => {
      const health = "health" in state ? state.health?.Status : undefined;
      return value === (health ?? "none");
    }) &&
    (exited.length === 0 ||
      (!isLive(state) && state.startedAt !== ZERO_TIME && exited.includes(state.exitCode)));

  return {
    isAll: (filters.get("status")?.length ?? 0) > 0,
    before: lastOf(filters, "before", backend),
    since: lastOf(filters, "since", backend),
    matches: (record) =>
      matchesState(record) &&
      matchesAny(filters, "id", (value) => record.id.startsWith(value)) &&
      (!filters.has("name") || isName(`/${record.name}`) || isName(record.name)) &&
      matchesLabels(filters, record.config.Labels) &&
      // No container is a Swarm task.
      isTask !== true &&
      matchesAny(
        filters,
        "isolation",
        (value) => value === (record.hostConfig.Isolation || "default"),
      ) &&
      matchesAny(filters, "volume", (value) => hasVolume(record, value)) &&
      matchesAny(filters, "network", (value) => isInNetwork(record, value)) &&
      (ancestors === undefined || ancestors.has(record.imageId)) &&
      ((published.size === 0 && exposed.size === 0) || matchesPorts(record)),
  };
};
