/** GET /containers/{id…}/json. The text is kept beside the record; exec ids are put in each time. */
import type { DockerBackend } from "#api/docker/backend.ts";
import type { Call } from "#api/docker/call.ts";
import { get, type Route } from "#api/docker/route.ts";
import type { ContainerRecord, ContainerState } from "#container/container.ts";
import type {
  InspectResponse,
  NetworkSettingsResponse,
  StateResponse,
} from "#spec/docker/container.ts";
import { shownPorts } from "#api/docker/container/shown-ports.ts";
import type { ContainerConfig } from "#spec/docker/container-config.ts";
import type { EndpointSettings } from "#spec/docker/network.ts";

const PREDEFINED = new Set(["default", "bridge", "host", "none"]);
const SHORT_ID_LENGTH = 12;

const stateResponse = (state: ContainerState): StateResponse => {
  const { status } = state;
  const isUp = status === "running" || status === "paused" || status === "restarting";
  const health = "health" in state ? state.health : undefined;
  return {
    Status: status,
    Running: isUp,
    Paused: status === "paused",
    Restarting: status === "restarting",
    OOMKilled: state.isOomKilled,
    Dead: status === "dead",
    Pid: "process" in state ? state.process.pid : 0,
    ExitCode: state.exitCode,
    Error: state.error,
    StartedAt: state.startedAt,
    FinishedAt: state.finishedAt,
    ...(health === undefined ? {} : { Health: health }),
  };
};

/** Below 1.45 the short id and the hostname stood among the aliases of user-defined networks. */
const legacyAliases = (record: ContainerRecord): Record<string, EndpointSettings> =>
  Object.fromEntries(
    Object.entries(record.endpoints).map(([name, endpoint]) => {
      if (PREDEFINED.has(name)) return [name, endpoint];
      const extra = [record.id.slice(0, SHORT_ID_LENGTH), record.config.Hostname];
      return [
        name,
        { ...endpoint, Aliases: [...new Set([...(endpoint.Aliases ?? []), ...extra])] },
      ];
    }),
  );

/** The top-level addresses are those of the default bridge. */
const networkSettings = (record: ContainerRecord, minor: number): NetworkSettingsResponse => {
  const bridge = record.endpoints["bridge"];
  return {
    Bridge: "",
    SandboxID: record.sandbox?.sandboxId ?? "",
    SandboxKey: record.sandbox?.netnsPath ?? "",
    Ports: record.ports,
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: bridge?.EndpointID ?? "",
    Gateway: bridge?.Gateway ?? "",
    GlobalIPv6Address: bridge?.GlobalIPv6Address ?? "",
    GlobalIPv6PrefixLen: bridge?.GlobalIPv6PrefixLen ?? 0,
    IPAddress: bridge?.IPAddress ?? "",
    IPPrefixLen: bridge?.IPPrefixLen ?? 0,
    IPv6Gateway: bridge?.IPv6Gateway ?? "",
    MacAddress: bridge?.MacAddress ?? "",
    Networks: minor < 45 ? legacyAliases(record) : record.endpoints,
  };
};

/** "/target:/parent/alias", with the names of today. */
const shownLinks = ({ containers }: DockerBackend, { links, name }: ContainerRecord) =>
  links?.map(({ containerId, alias }) => {
    const target = containers.list().find(({ id }) => id === containerId);
    return `/${target?.name ?? containerId}:/${name}/${alias}`;
  }) ?? null;

/** The address asked for on its first network stands in its configuration too, as until API 1.51. */
const shownConfig = ({ config, hostConfig, askedMacs }: ContainerRecord): ContainerConfig => {
  const { NetworkMode } = hostConfig;
  const mac = askedMacs?.[NetworkMode === "default" ? "bridge" : NetworkMode];
  return mac === undefined || config.MacAddress ? config : { ...config, MacAddress: mac };
};

const build = (
  backend: DockerBackend,
  record: ContainerRecord,
  minor: number,
): Omit<InspectResponse, "ExecIDs"> => {
  const files = backend.system.containerFiles(record);
  const { driver } = backend.system;
  return {
    Id: record.id,
    Created: record.createdAt,
    Path: record.path,
    Args: [...record.args],
    State: stateResponse(record.state),
    Image: record.imageId,
    ResolvConfPath: files.resolvConf,
    HostnamePath: files.hostname,
    HostsPath: files.hosts,
    LogPath: record.logPath,
    Name: `/${record.name}`,
    RestartCount: record.restartCount,
    Driver: driver,
    Platform: record.platform.split("/", 1)[0] ?? "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    HostConfig: { ...record.hostConfig, Links: shownLinks(backend, record) },
    GraphDriver: { Data: backend.system.layerPaths(record), Name: driver },
    Mounts: [...record.mounts],
    Config: shownConfig(record),
    NetworkSettings: { ...networkSettings(record, minor), Ports: shownPorts(record) },
  };
};

/** For 1.45 and newer, which all look the same. */
const texts = new WeakMap<ContainerRecord, string>();

const textOf = (backend: DockerBackend, record: ContainerRecord, minor: number): string => {
  if (minor < 45) return JSON.stringify(build(backend, record, minor));
  let text = texts.get(record);
  if (text === undefined) {
    text = JSON.stringify(build(backend, record, minor));
    texts.set(record, text);
  }
  return text;
};

const inspect = async (call: Call): Promise<void> => {
  const { backend } = call;
  // docker compose asks on "die" whether it is over: on the way through a restart it is not.
  const underway = backend.containers.restartUnderway(call.name);
  if (underway !== undefined) await underway;
  const record = backend.containers.get(call.name);
  const text = textOf(backend, record, call.minor);
  const execIds = backend.containers.execIds(record.id);
  let more = `,"ExecIDs":${execIds.length === 0 ? "null" : JSON.stringify(execIds)}`;
  if (call.query.flag("size")) {
    const { rw, rootFs } = await backend.containers.sizes(record.id);
    more += `,"SizeRw":${rw},"SizeRootFs":${rootFs}`;
  }
  call.jsonText(200, `${text.slice(0, -1)}${more}}`);
};

export const inspectRoutes: readonly Route[] = [get("/containers/{id…}/json", inspect)];
