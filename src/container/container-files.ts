/** hosts, resolv.conf and hostname, written anew at each start; a joined network's are its owner's. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { type ContainerRecord, isLive } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import { linkedHosts } from "#container/links.ts";
import { parseNetworkMode } from "#container/network-mode.ts";
import {
  RESOLVER_ADDRESS,
  RESOLV_CONF_PATHS,
  chooseResolvConf,
  renderEngineResolvConf,
  renderHostname,
  renderHosts,
  renderResolvConf,
} from "#network/files.ts";

const readOptional = (path: string): string | undefined =>
  existsSync(path) ? readFileSync(path, "utf8") : undefined;

const hostResolvConf = (): string => {
  const [etc, systemd] = RESOLV_CONF_PATHS;
  return chooseResolvConf(readOptional(etc) ?? "", readOptional(systemd));
};

/** The host by the name that people know from their desktops; what the user says of it comes first. */
const HOST_NAME = "host.docker.internal";

/** On networks with names the resolver tells it. */
const hostNames = ({ hostConfig, sandbox }: ContainerRecord): string[] => {
  const isPlain =
    sandbox?.mode === "bridge" && sandbox.endpoints.every((e) => e.names.length === 0);
  const isTold = (hostConfig.ExtraHosts ?? []).some((line) => line.startsWith(HOST_NAME));
  return isPlain && !isTold ? [`${HOST_NAME}:host-gateway`] : [];
};

const contents = (
  engine: Engine,
  record: ContainerRecord,
  isHostNetwork: boolean,
): Record<string, string> => {
  const { config, hostConfig, sandbox } = record;
  const hostsBase = isHostNetwork ? readOptional("/etc/hosts") : undefined;
  const overrides = {
    servers: hostConfig.Dns ?? [],
    search: hostConfig.DnsSearch ?? [],
    options: hostConfig.DnsOptions ?? [],
  };
  const hasNames = sandbox?.endpoints.some(({ names }) => names.length > 0) === true;
  return {
    hostname: renderHostname(config.Hostname),
    hosts: renderHosts({
      hostname: config.Hostname,
      domainname: config.Domainname,
      addresses: (sandbox?.endpoints ?? []).flatMap(({ ip, ipv6 }) =>
        [ip, ipv6?.ip ?? ""].filter((address) => address !== ""),
      ),
      extraHosts: [...(hostConfig.ExtraHosts ?? []), ...hostNames(record)],
      linked: linkedHosts(engine, record),
      hostGateway: engine.deps.network.hostGateway(),
      ...(hostsBase === undefined ? {} : { base: hostsBase }),
    }),
    "resolv.conf": hasNames
      ? renderEngineResolvConf(RESOLVER_ADDRESS, { host: hostResolvConf(), overrides })
      : renderResolvConf({ host: hostResolvConf(), overrides, isHostNetwork }),
  };
};

/** Writes the files of a running container anew, in place: they are mounted. */
export const writeNetworkFiles = (engine: Engine, record: ContainerRecord): void => {
  const isHost = parseNetworkMode(record.hostConfig.NetworkMode).kind === "host";
  const { hosts = "", "resolv.conf": resolvConf = "" } = contents(engine, record, isHost);
  const directory = engine.directoryOf(record.id);
  writeFileSync(`${directory}/hosts`, hosts);
  writeFileSync(`${directory}/resolv.conf`, resolvConf);
};

/** A target that starts again has another address: the files of those who link to it follow. */
export const refreshLinkers = (engine: Engine, target: ContainerRecord): void => {
  for (const record of engine.states.list()) {
    const isLinked = record.links?.some(({ containerId }) => containerId === target.id) === true;
    if (isLinked && isLive(record.state)) writeNetworkFiles(engine, record);
  }
};

/** Where each file lies on the host and goes in the container. */
export const containerFiles = (
  engine: Engine,
  record: ContainerRecord,
): { destination: string; source: string }[] => {
  const mode = parseNetworkMode(record.hostConfig.NetworkMode);
  const owner = mode.kind === "container" ? engine.states.get(mode.container) : record;
  const directory = engine.directoryOf(owner.id);
  if (owner === record) {
    for (const [name, text] of Object.entries(contents(engine, record, mode.kind === "host"))) {
      writeFileSync(`${directory}/${name}`, text, { mode: 0o644 });
    }
  }
  return ["resolv.conf", "hostname", "hosts"].map((name) => ({
    destination: `/etc/${name}`,
    source: `${directory}/${name}`,
  }));
};
