/** What an engine has of a project, without what differs from one `up` to the next. */
import { api } from "../harness/http.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Given anew each time; their presence is compared, not their value. */
const CHANGING = new Set([
  "Created",
  "CreatedAt",
  "EndpointID",
  "FinishedAt",
  "Gateway",
  "GlobalIPv6Address",
  "GraphDriver",
  "HostnamePath",
  "HostsPath",
  "IPAddress",
  // The pools are of /16 and then of /20: which one is free depends on who is up beside it.
  "IPPrefixLen",
  "IPv6Gateway",
  "Id",
  "Image",
  "ImageManifestDescriptor",
  "LogPath",
  "MacAddress",
  "NetworkID",
  "Pid",
  "ResolvConfPath",
  "SandboxID",
  "SandboxKey",
  "StartedAt",
]);

/** Labels in which the tool speaks of itself, of an image's digest, or of a container before. */
const OWN_LABELS = new Set([
  "com.docker.compose.version",
  "com.docker.compose.image",
  "com.docker.compose.replace",
]);

const text = (value: string): string =>
  value
    .replaceAll(/[0-9a-f]{64}/g, "<id>")
    .replaceAll(/^[0-9a-f]{12}$/g, "<short id>")
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "<time>");

const scrub = (value: Json, key = ""): Json => {
  if (CHANGING.has(key)) return "…";
  if (typeof value === "string") {
    // docker compose lists them as they come.
    if (key === "com.docker.compose.depends_on") return value.split(",").toSorted().join(",");
    if (key === "HostPort" && Number(value) >= 32_768) return "<port>";
    return text(value);
  }
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) {
    const items = value.map((item) => scrub(item));
    return items.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  }
  const entries = Object.entries(value)
    .filter(([name]) => !OWN_LABELS.has(name))
    .map(([name, item]): [string, Json] => [text(name), scrub(item, name)]);
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
};

interface Named {
  readonly Id: string;
  readonly Name: string;
}

export interface Inventory {
  readonly containers: Readonly<Record<string, Json>>;
  readonly networks: Readonly<Record<string, Json>>;
  readonly volumes: Readonly<Record<string, Json>>;
}

/** Containers of a project by name, as `inspect` has them; its networks and volumes. */
export const inventoryOf = async (socketPath: string, project: string): Promise<Inventory> => {
  const label = encodeURIComponent(
    JSON.stringify({ label: [`com.docker.compose.project=${project}`] }),
  );
  const get = async <T>(path: string): Promise<T> => (await api(socketPath, "GET", path)).json<T>();
  const containers = await get<Named[]>(`/containers/json?all=1&filters=${label}`);
  const inspected = await Promise.all(
    containers.map(({ Id }) => get<Named & Record<string, Json>>(`/containers/${Id}/json`)),
  );
  const networks = await get<(Named & Record<string, Json>)[]>(`/networks?filters=${label}`);
  const { Volumes } = await get<{ Volumes: (Named & Record<string, Json>)[] | null }>(
    `/volumes?filters=${label}`,
  );
  const byName = (items: readonly (Named & Record<string, Json>)[]): Record<string, Json> =>
    Object.fromEntries(
      items
        .map((item): [string, Json] => [text(item.Name), item])
        .toSorted(([a], [b]) => (a < b ? -1 : 1)),
    );
  const withoutLog = (item: Named & Record<string, Json>): Named & Record<string, Json> => {
    const state = item["State"] as Record<string, Json>;
    const health = state["Health"] as Record<string, Json> | undefined;
    if (health === undefined) return item;
    return { ...item, State: { ...state, Health: { Status: health["Status"] ?? null } } };
  };
  /** Addresses from the engine's pool are others each time; those of the file are 172.29.… */
  const withoutPool = (item: Named & Record<string, Json>): Named & Record<string, Json> => {
    const { Config } = item["IPAM"] as { Config: Record<string, string>[] };
    const isGiven = Config.some((pool) => /^(?:172\.29|fd00:18)/.test(pool["Subnet"] ?? ""));
    return { ...item, Containers: null, IPAM: isGiven ? (item["IPAM"] ?? null) : null };
  };
  return {
    containers: scrub(byName(inspected.map(withoutLog))) as Record<string, Json>,
    networks: scrub(byName(networks.map(withoutPool))) as Record<string, Json>,
    volumes: scrub(byName(Volumes ?? [])) as Record<string, Json>,
  };
};

/** Each place in which two inventories differ, as "path: one / other". */
export const differences = (one: unknown, other: unknown, path = ""): string[] => {
  if (JSON.stringify(one) === JSON.stringify(other)) return [];
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject(one) || !isObject(other)) {
    return [`${path}: ${JSON.stringify(one)} / ${JSON.stringify(other)}`];
  }
  return [...new Set([...Object.keys(one), ...Object.keys(other)])].flatMap((key) =>
    differences(one[key], other[key], `${path}/${key}`),
  );
};
