/** Driver options of a bridge network, Docker's labels. Pure. */
import { NaruError } from "#lib/errors.ts";
import { isIPv4 } from "#lib/ip-address.ts";
import type { MacvlanMode } from "#kernel/link-kernel.ts";
import type { BridgeRecord } from "#network/network.ts";

type Settings = Omit<BridgeRecord, "linkName" | "subnet" | "gateway" | "mtu"> & {
  readonly linkName?: string;
  readonly mtu?: number;
};

const invalid = (key: string, value: string, reason: string): never => {
  throw new NaruError("invalid_argument", `failed to parse ${key} value: ${value} (${reason})`);
};

const flag = (key: string, value: string): boolean => {
  if (["1", "t", "T", "true", "TRUE", "True"].includes(value)) return true;
  if (["0", "f", "F", "false", "FALSE", "False"].includes(value)) return false;
  return invalid(key, value, "true or false is expected");
};

const linkName = (key: string, value: string): string =>
  /^[^\s/:]{1,15}$/.test(value) && value !== "." && value !== ".."
    ? value
    : invalid(
        key,
        value,
        "an interface name has 1 to 15 bytes, without spaces, slashes and colons",
      );

const mtu = (key: string, value: string): number => {
  const bytes = /^\d{1,5}$/.test(value) ? Number(value) : 0;
  return bytes >= 68 && bytes <= 65_535
    ? bytes
    : invalid(key, value, "a number of bytes from 68 to 65535 is expected");
};

const hostIp = (key: string, value: string): string =>
  isIPv4(value) ? value : invalid(key, value, "an IPv4 address is expected");

const gatewayMode = (key: string, value: string, known: readonly string[]): void => {
  if (known.includes(value)) return;
  const use = known.map((word) => `"${word}"`).join(" or ");
  throw new NaruError(
    "not_implemented",
    `network option "${key}" is not supported with "${value}": use ${use}`,
  );
};

type Reader = (value: string, key: string) => Settings;

const BRIDGE = "com.docker.network.bridge.";

const READERS: Readonly<Record<string, Reader>> = {
  [`${BRIDGE}name`]: (value, key) => ({ linkName: linkName(key, value) }),
  [`${BRIDGE}enable_icc`]: (value, key) => (flag(key, value) ? {} : { isIccOff: true }),
  [`${BRIDGE}enable_ip_masquerade`]: (value, key) =>
    flag(key, value) ? {} : { isMasqueradeOff: true },
  [`${BRIDGE}host_binding_ipv4`]: (value, key) => ({ hostIp: hostIp(key, value) }),
  [`${BRIDGE}gateway_mode_ipv4`]: (value, key) => {
    gatewayMode(key, value, ["nat"]);
    return {};
  },
  [`${BRIDGE}gateway_mode_ipv6`]: (value, key) => {
    gatewayMode(key, value, ["nat", "routed"]);
    return value === "routed" ? { isRouted6: true } : {};
  },
  "com.docker.network.driver.mtu": (value, key) => ({ mtu: mtu(key, value) }),
  "com.docker.network.container_iface_prefix": (value, key) => ({
    interfacePrefix: linkName(key, value),
  }),
};

const MACVLAN_MODES: readonly MacvlanMode[] = ["bridge", "private", "vepa", "passthru"];

/** Options of a macvlan network: `parent` and `macvlan_mode`; others are refused by name. */
export const macvlanSettings = (
  options: Readonly<Record<string, string>>,
): { readonly parent: string; readonly mode: MacvlanMode } => {
  const { parent, macvlan_mode: given = "bridge", ...rest } = options;
  const [other] = Object.keys(rest);
  if (other !== undefined) {
    throw new NaruError("not_implemented", `network option "${other}" is not supported`);
  }
  if (parent === undefined) {
    throw new NaruError(
      "invalid_argument",
      "a macvlan network needs the interface whose wire it shares: add -o parent=eth0",
    );
  }
  const mode = MACVLAN_MODES.find((one) => one === given);
  if (mode === undefined) {
    return invalid("macvlan_mode", given, `one of ${MACVLAN_MODES.join(", ")} is expected`);
  }
  return { parent: linkName("parent", parent), mode };
};

/**
 * What the options say of the bridge. Keys of Docker's own that are not known are refused by name;
 * others mean something to somebody else and are kept as they are.
 */
export const bridgeSettings = (options: Readonly<Record<string, string>>): Settings => {
  let settings: Settings = {};
  for (const [key, value] of Object.entries(options)) {
    const read = READERS[key];
    if (read !== undefined) settings = { ...settings, ...read(value, key) };
    else if (key.startsWith("com.docker.network.")) {
      throw new NaruError("not_implemented", `network option "${key}" is not supported`);
    }
  }
  return settings;
};
