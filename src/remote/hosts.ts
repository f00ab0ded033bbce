/** Names of hosts and networks: which registry is insecure, which host a proxy is for. Pure. */

/** "[::1]:5000" → "::1"; "localhost:5000" → "localhost". */
export const withoutPort = (host: string): string => {
  const bracketed = /^\[([^\]]*)\]/.exec(host)?.[1];
  if (bracketed !== undefined) return bracketed;
  return host.indexOf(":") === host.lastIndexOf(":") ? (host.split(":")[0] ?? host) : host;
};

const bytesOfV4 = (text: string): number[] | undefined => {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  return parts.map(Number);
};

const bytesOfV6 = (text: string): number[] | undefined => {
  if (!text.includes(":") || !/^[0-9a-fA-F:]+$/.test(text)) return undefined;
  const [head = "", tail, extra] = text.split("::");
  if (extra !== undefined) return undefined;
  const words = (part: string): string[] => (part === "" ? [] : part.split(":"));
  const before = words(head);
  const after = words(tail ?? "");
  const gap = 8 - before.length - after.length;
  if (tail === undefined ? gap !== 0 : gap < 1) return undefined;
  const all = [...before, ...Array.from({ length: gap }, () => "0"), ...after];
  if (!all.every((word) => /^[0-9a-fA-F]{1,4}$/.test(word))) return undefined;
  return all.flatMap((word) => [Number.parseInt(word, 16) >> 8, Number.parseInt(word, 16) & 255]);
};

const bytesOf = (address: string): number[] | undefined => bytesOfV4(address) ?? bytesOfV6(address);

/** False when either is no address or no network. */
const isInNetwork = (address: string, network: string): boolean => {
  const [base = "", bits = ""] = network.split("/");
  const have = bytesOf(address);
  const want = bytesOf(base);
  if (have === undefined || want === undefined || have.length !== want.length) return false;
  if (!/^\d+$/.test(bits)) return false;
  return have.every((byte, index) => {
    const used = Math.min(8, Math.max(0, Number(bits) - index * 8));
    const mask = (0xff << (8 - used)) & 0xff;
    return (byte & mask) === ((want[index] ?? 0) & mask);
  });
};

export const isLoopback = (host: string): boolean => {
  const name = withoutPort(host);
  return name === "localhost" || name === "::1" || isInNetwork(name, "127.0.0.0/8");
};

/** `list`: "host[:port]" or networks. */
export const isListedHost = (host: string, list: readonly string[]): boolean =>
  list.some((entry) => entry === host || isInNetwork(withoutPort(host), entry));

/** Loopback always is, as dockerd has it. */
export const isInsecureHost = (host: string, insecure: readonly string[]): boolean =>
  isLoopback(host) || isListedHost(host, insecure);

const matchesNoProxy = (host: string, port: string, entry: string): boolean => {
  if (entry === "") return false;
  if (entry === "*") return true;
  if (entry.includes("/")) return isInNetwork(host, entry);
  if (bytesOfV6(entry) !== undefined) return entry === host;
  const [name = "", wantedPort] = entry.replace(/^\*?\./, "").split(":");
  if (wantedPort !== undefined && wantedPort !== port) return false;
  return host === name || host.endsWith(`.${name}`);
};

/** The proxy for `url`, "" for none: Go's rules (httpproxy.Config), which dockerd follows. */
export const proxyFor = (
  url: URL,
  proxy: { readonly http: string; readonly https: string; readonly none: string },
): string => {
  const isTls = url.protocol === "https:";
  const given = isTls ? proxy.https : proxy.http;
  const host = withoutPort(url.host);
  if (given === "" || isLoopback(host)) return "";
  const port = url.port === "" ? (isTls ? "443" : "80") : url.port;
  const isDirect = proxy.none
    .split(",")
    .some((entry) => matchesNoProxy(host, port, entry.trim().toLowerCase()));
  if (isDirect) return "";
  return given.includes("://") ? given : `http://${given}`;
};

/**
 * Without a proxy of its own a request takes the environment's, by the runtime's rules: those send loopback there, and
 * know nothing of daemon.json. Only `false` keeps it from that; the runtime's types do not know it yet.
 */
const NO_PROXY = false as unknown as string;

/** `proxyFor` as the runtime's fetch wants it. */
export const fetchProxy = (url: URL, proxy: Parameters<typeof proxyFor>[1]): string =>
  proxyFor(url, proxy) || NO_PROXY;
