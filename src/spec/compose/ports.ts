/** Published ports in the short form: `[HOST_IP:][PUBLISHED:]TARGET[/PROTOCOL]`, with ranges. */
export interface PortEntry {
  readonly mode: string;
  readonly host_ip?: string;
  readonly target: number;
  readonly published?: string;
  readonly protocol: string;
}

interface Range {
  readonly first: number;
  readonly last: number;
}

const MAX_PORT = 65_535;
const MAX_RANGE = 10_000;

const parseRange = (text: string): Range | undefined => {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text);
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return first <= last && last <= MAX_PORT && last - first < MAX_RANGE
    ? { first, last }
    : undefined;
};

const splitAddress = (text: string): { address: string; published: string; target: string } => {
  const parts = /^\[([^\]]*)\]:(.*)$/.exec(text);
  const fields = (parts?.[2] ?? text).split(":");
  const target = fields.pop() ?? "";
  const published = fields.pop() ?? "";
  return { address: parts?.[1] ?? fields.join(":"), published, target };
};

/** The entries a short form stands for, or the reason why it stands for none. */
export const parsePorts = (text: string): readonly PortEntry[] | string => {
  const slash = text.lastIndexOf("/");
  const protocol = slash < 0 ? "tcp" : text.slice(slash + 1).toLowerCase();
  if (!["tcp", "udp", "sctp"].includes(protocol)) return `unknown protocol "${protocol}"`;
  const { address, published, target } = splitAddress(slash < 0 ? text : text.slice(0, slash));
  const inside = parseRange(target);
  if (inside === undefined) return `"${target}" is no port or range of ports`;
  const outside = published === "" ? undefined : parseRange(published);
  if (published !== "" && outside === undefined) {
    return `"${published}" is no port or range of ports`;
  }
  const common = { mode: "ingress", ...(address === "" ? {} : { host_ip: address }) };
  const count = inside.last - inside.first + 1;
  const offered = outside === undefined ? 0 : outside.last - outside.first + 1;
  if (outside !== undefined && count === 1 && offered > 1) {
    return [{ ...common, target: inside.first, published, protocol }];
  }
  if (outside !== undefined && count !== offered) {
    return `the ranges "${published}" and "${target}" are of different lengths`;
  }
  return Array.from({ length: count }, (_item, at) => ({
    ...common,
    target: inside.first + at,
    ...(outside === undefined ? {} : { published: String(outside.first + at) }),
    protocol,
  }));
};

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.|$)){4}$/;

/** True for an address of either family, without brackets. */
export const isAddress = (text: string): boolean =>
  IPV4.test(text) || (/^[\da-fA-F:.]+$/.test(text) && URL.canParse(`http://[${text}]/`));
