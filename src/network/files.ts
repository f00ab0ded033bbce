/**
 * Contents of /etc/hosts, /etc/resolv.conf and /etc/hostname of a container. Pure; formats after
 * hosts(5), resolv.conf(5), hostname(5).
 */
import { NaruError } from "#lib/errors.ts";
import { isIP, isIPv4 } from "#lib/ip-address.ts";

const LOCAL_HOSTS = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;

export interface HostsInput {
  readonly hostname: string;
  readonly domainname: string;
  /** Addresses of the container itself; none on the host's network. */
  readonly addresses: readonly string[];
  /** "name:address", as `--add-host` gives them; "host-gateway" is an address too. */
  readonly extraHosts: readonly string[];
  /** Other containers that this one is linked to. */
  readonly linked?: readonly { readonly address: string; readonly names: readonly string[] }[];
  /** What "host-gateway" stands for. */
  readonly hostGateway: string;
  /** The host's own file: the beginning in place of the local names, on the host's network. */
  readonly base?: string;
}

/** One line of `--add-host`. Throws invalid_argument. */
export const parseExtraHost = (
  text: string,
): { readonly name: string; readonly address: string } => {
  const match = /^([^:=]+)[:=](.+)$/.exec(text);
  const name = match?.[1] ?? "";
  const address = (match?.[2] ?? "").replace(/^\[(.*)\]$/, "$1");
  if (name === "") {
    throw new NaruError("invalid_argument", `bad format for add-host: "${text}"`);
  }
  if (address !== "host-gateway" && !isIP(address)) {
    throw new NaruError("invalid_argument", `invalid IP address in add-host: "${address}"`);
  }
  return { name, address };
};

export const renderHosts = (input: HostsInput): string => {
  const base = input.base ?? LOCAL_HOSTS;
  const extra = input.extraHosts.map((text) => {
    const { name, address } = parseExtraHost(text);
    return `${address === "host-gateway" ? input.hostGateway : address}\t${name}\n`;
  });
  const fqdn = input.domainname === "" ? input.hostname : `${input.hostname}.${input.domainname}`;
  const dot = fqdn.indexOf(".");
  const names = dot > 0 ? `${fqdn} ${fqdn.slice(0, dot)}` : fqdn;
  const linked = (input.linked ?? []).map(
    ({ address, names: all }) => `${address}\t${all.join(" ")}\n`,
  );
  const own = input.addresses.map((address) => `${address}\t${names}\n`);
  return [
    base.endsWith("\n") || base === "" ? base : `${base}\n`,
    ...extra,
    ...linked,
    ...own,
  ].join("");
};

export const renderHostname = (hostname: string): string => `${hostname}\n`;

/** Where a container on a network with names asks for them: many images have it built in. */
export const RESOLVER_ADDRESS = "127.0.0.11";

/** Where the host's resolver settings are. The second replaces a file that names only a local stub. */
export const RESOLV_CONF_PATHS = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"] as const;

/** Used when the host names no server that a container could reach: Docker's choice. */
export const FALLBACK_SERVERS = ["8.8.8.8", "8.8.4.4"];

export interface ResolvConf {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

/** The last `search` or `domain` line wins; comments and unknown keywords are dropped. */
export const parseResolvConf = (text: string): ResolvConf => {
  const servers: string[] = [];
  let search: string[] = [];
  const options: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...words] = (line.split(/[#;]/)[0] ?? "").trim().split(/\s+/);
    if (keyword === "nameserver") servers.push(...words.slice(0, 1));
    else if (keyword === "search" || keyword === "domain") search = words;
    else if (keyword === "options") options.push(...words);
  }
  return { servers, search, options };
};

const isLoopback = (server: string): boolean => /^127\.|^::1$|^0\.0\.0\.0$/.test(server);

/** Which of the host's two files says where the real servers are. */
export const chooseResolvConf = (etc: string, systemd: string | undefined): string => {
  const { servers } = parseResolvConf(etc);
  const isStub = servers.length > 0 && servers.every((server) => server === "127.0.0.53");
  return isStub && systemd !== undefined ? systemd : etc;
};

export interface ResolvConfInput {
  /** The host's settings, by `chooseResolvConf`. */
  readonly host: string;
  /** From --dns, --dns-search, --dns-option; empty = the host's. A search of "." means none. */
  readonly overrides: ResolvConf;
  /** On the host's network loopback servers can be reached and stay. */
  readonly isHostNetwork: boolean;
}

/** For containers whose names are resolved by the engine at `address`. */
export const renderEngineResolvConf = (
  address: string,
  { host, overrides }: Pick<ResolvConfInput, "host" | "overrides">,
): string => {
  const parsed = parseResolvConf(host);
  const search = (overrides.search.length > 0 ? overrides.search : parsed.search).filter(
    (domain) => domain !== ".",
  );
  const options = overrides.options.length > 0 ? overrides.options : parsed.options;
  // A container's name has no dots: it is asked for as it is before any search domain is tried.
  const hasDots = options.some((option) => option.startsWith("ndots:"));
  return [
    `nameserver ${address}\n`,
    search.length > 0 ? `search ${search.join(" ")}\n` : "",
    `options ${[...options, ...(hasDots ? [] : ["ndots:0"])].join(" ")}\n`,
  ].join("");
};

export const renderResolvConf = ({ host, overrides, isHostNetwork }: ResolvConfInput): string => {
  const parsed = parseResolvConf(host);
  // A container of these networks has IPv4 alone.
  const reachable = parsed.servers.filter(
    (server) => isHostNetwork || (!isLoopback(server) && isIPv4(server)),
  );
  const fallback = reachable.length > 0 || isHostNetwork ? reachable : FALLBACK_SERVERS;
  const servers = overrides.servers.length > 0 ? overrides.servers : fallback;
  const search = (overrides.search.length > 0 ? overrides.search : parsed.search).filter(
    (domain) => domain !== ".",
  );
  const options = overrides.options.length > 0 ? overrides.options : parsed.options;
  return [
    ...servers.map((server) => `nameserver ${server}\n`),
    search.length > 0 ? `search ${search.join(" ")}\n` : "",
    options.length > 0 ? `options ${options.join(" ")}\n` : "",
  ].join("");
};
