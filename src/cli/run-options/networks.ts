/** --network with its long form, and the older flags that speak of the first network. */
import { isIP } from "#lib/ip-address.ts";
import { cut, parseCsv } from "#cli/run-options/csv.ts";
import type { EndpointSettings } from "#spec/docker/network.ts";

export interface NetworkChoice {
  readonly target: string;
  readonly aliases: readonly string[];
  readonly driverOptions: Readonly<Record<string, string>>;
  readonly ipv4?: string | undefined;
  readonly ipv6?: string | undefined;
  readonly mac?: string | undefined;
  readonly linkLocalIps: readonly string[];
  readonly gatewayPriority: number;
}

export const parseAddress = (text: string): string => {
  if (!isIP(text)) throw new Error(`IP address is not correctly formatted: ${text}`);
  return text;
};

const priority = (value: string): number => {
  if (!/^[+-]?\d+$/.test(value)) throw new Error(`invalid gw-priority (${value}): invalid syntax`);
  return Number(value);
};

const driverOption = (value: string): Record<string, string> => {
  const [key, option] = cut(value);
  if (option === undefined || key === "") {
    throw new Error("invalid key value pair format in driver options");
  }
  return { [key.trim()]: option.trim() };
};

const applyField = (choice: NetworkChoice, field: string): NetworkChoice => {
  const [rawKey, rawValue] = cut(field);
  if (rawValue === undefined || rawKey === "") throw new Error(`invalid field ${field}`);
  const value = rawValue.trim();
  switch (rawKey.trim().toLowerCase()) {
    case "name":
      return { ...choice, target: value };
    case "alias":
      return { ...choice, aliases: [...choice.aliases, value] };
    case "ip":
      return { ...choice, ipv4: parseAddress(value) };
    case "ip6":
      return { ...choice, ipv6: parseAddress(value) };
    case "mac-address":
      return { ...choice, mac: value };
    case "link-local-ip":
      return { ...choice, linkLocalIps: [...choice.linkLocalIps, parseAddress(value)] };
    case "driver-opt":
      return { ...choice, driverOptions: { ...choice.driverOptions, ...driverOption(value) } };
    case "gw-priority":
      return { ...choice, gatewayPriority: priority(value) };
    default:
      throw new Error(`invalid field key ${rawKey}`);
  }
};

const empty = (target: string): NetworkChoice => ({
  target,
  aliases: [],
  driverOptions: {},
  linkLocalIps: [],
  gatewayPriority: 0,
});

export const parseNetwork = (text: string): NetworkChoice => {
  if (!/\w+=\w+(,\w+=\w+)*/.test(text)) return empty(text);
  const choice = parseCsv(text).reduce(applyField, empty(""));
  if (choice.target === "") throw new Error("network name/id is not specified");
  return choice;
};

export interface FirstNetworkFlags {
  readonly aliases: readonly string[];
  readonly ipv4?: string | undefined;
  readonly ipv6?: string | undefined;
  readonly mac?: string | undefined;
  readonly linkLocalIps: readonly string[];
  /** On a user-defined network they are of the endpoint. */
  readonly links: readonly string[];
}

const OWN_MODES = new Set(["default", "bridge", "host", "none", ""]);

export const isUserDefined = (target: string): boolean =>
  !OWN_MODES.has(target) && !target.startsWith("container:");

const either = <T>(
  mine: T | undefined,
  other: T | undefined,
  flag: string,
  what: string,
): T | undefined => {
  if (mine !== undefined && other !== undefined) {
    throw new Error(`conflicting options: cannot specify both ${flag} and per-network ${what}`);
  }
  return mine ?? other;
};

const eitherList = (
  mine: readonly string[],
  other: readonly string[],
  flag: string,
  what: string,
): readonly string[] => {
  if (mine.length > 0 && other.length > 0) {
    throw new Error(`conflicting options: cannot specify both ${flag} and per-network ${what}`);
  }
  return mine.length > 0 ? mine : other;
};

const withFlags = (choice: NetworkChoice, flags: FirstNetworkFlags): NetworkChoice => ({
  ...choice,
  aliases: eitherList(choice.aliases, flags.aliases, "--network-alias", "alias"),
  linkLocalIps: eitherList(
    choice.linkLocalIps,
    flags.linkLocalIps,
    "--link-local-ip",
    "link-local IP addresses",
  ),
  ipv4: either(choice.ipv4, flags.ipv4, "--ip", "IPv4 address"),
  ipv6: either(choice.ipv6, flags.ipv6, "--ip6", "IPv6 address"),
  mac: either(choice.mac, flags.mac, "--mac-address", "MAC address"),
});

const endpointOf = (choice: NetworkChoice): Partial<EndpointSettings> => {
  if (choice.target.trim() === "") throw new Error("no name set for network");
  if (!isUserDefined(choice.target) && choice.aliases.length > 0) {
    throw new Error("network-scoped aliases are only supported for user-defined networks");
  }
  const hasAddress =
    choice.ipv4 !== undefined || choice.ipv6 !== undefined || choice.linkLocalIps.length > 0;
  return {
    ...(choice.aliases.length > 0 ? { Aliases: [...choice.aliases] } : {}),
    ...(Object.keys(choice.driverOptions).length > 0 ? { DriverOpts: choice.driverOptions } : {}),
    ...(hasAddress
      ? {
          IPAMConfig: {
            ...(choice.ipv4 === undefined ? {} : { IPv4Address: choice.ipv4 }),
            ...(choice.ipv6 === undefined ? {} : { IPv6Address: choice.ipv6 }),
            ...(choice.linkLocalIps.length > 0 ? { LinkLocalIPs: [...choice.linkLocalIps] } : {}),
          },
        }
      : {}),
    ...(choice.mac === undefined ? {} : { MacAddress: choice.mac }),
    ...(choice.gatewayPriority === 0 ? {} : { GwPriority: choice.gatewayPriority }),
  };
};

const isMac = (text: string): boolean => /^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(text.trim());

/** The network mode and the endpoints to send; endpoints without a wish are left to the engine. */
export const chooseNetworks = (
  choices: readonly NetworkChoice[],
  flags: FirstNetworkFlags,
): { mode: string; endpoints: Record<string, Partial<EndpointSettings>> } => {
  const all = choices.length === 0 ? [empty("default")] : choices;
  const endpoints: Record<string, Partial<EndpointSettings>> = {};
  for (const [at, given] of all.entries()) {
    const choice = at === 0 ? withFlags(given, flags) : given;
    if (choice.mac !== undefined && !isMac(choice.mac)) {
      throw new Error(`${choice.mac} is not a valid mac address`);
    }
    const endpoint = endpointOf(choice);
    if (choice.target in endpoints) {
      throw new Error(`network ${JSON.stringify(choice.target)} is specified multiple times`);
    }
    if (at === 0 && flags.links.length > 0 && isUserDefined(choice.target)) {
      endpoint.Links = [...flags.links];
    }
    if (all.length > 1 || Object.keys(endpoint).length > 0) endpoints[choice.target] = endpoint;
  }
  const kinds = new Set(all.map((choice) => isUserDefined(choice.target)));
  if (kinds.size > 1) {
    throw new Error(
      "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
    );
  }
  return { mode: all[0]?.target ?? "default", endpoints };
};
