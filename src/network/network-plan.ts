/** From a request to the record of a new network: what is asked is checked, the rest chosen. Pure. */
import { NaruError } from "#lib/errors.ts";
import {
  type Cidr,
  broadcastOf,
  contains,
  formatCidr,
  formatIpv4,
  hasOuterAddresses,
  networkOf,
  overlaps,
  parseCidr,
  parseIpv4,
} from "#network/ipv4.ts";
import type { Cidr6 } from "#network/ipv6.ts";
import { planIpv6 } from "#network/network-plan6.ts";
import type { BridgeRecord, NetworkRecord } from "#network/network.ts";
import { bridgeSettings, macvlanSettings } from "#network/network-options.ts";
import { type SubnetPool, chooseSubnet } from "#network/subnet.ts";
import type { IpamConfig, NetworkCreateRequest } from "#spec/docker/network.ts";

export interface PlanContext {
  readonly id: string;
  /** RFC 3339 */
  readonly createdAt: string;
  readonly records: readonly NetworkRecord[];
  /** Blocks of this host that a subnet which nobody named must not touch. */
  readonly takenBlocks: () => readonly Cidr[];
  readonly pools: readonly SubnetPool[];
  /** Of a bridge that nobody named. */
  readonly linkName: string;
  readonly mtu: number;
  /** 0 to below 1: which free subnet. */
  readonly chance: number;
  /** Where IPv6 subnets come from that nobody named. */
  readonly base6: Cidr6;
}

const invalid = (message: string): never => {
  throw new NaruError("invalid_argument", message);
};
const forbidden = (message: string): never => {
  throw new NaruError("permission_denied", message);
};
const missing = (message: string): never => {
  throw new NaruError("not_implemented", message);
};

const PREDEFINED = new Set(["bridge", "host", "none", "default"]);

const checkName = (name: string, records: readonly NetworkRecord[]): void => {
  if (name.trim() === "") invalid("invalid name: name is empty");
  if (PREDEFINED.has(name)) forbidden(`operation is not permitted on predefined ${name} network `);
  if (records.some((record) => record.name === name)) {
    throw new NaruError("already_exists", `network with name ${name} already exists`);
  }
};

const checkDriver = (driver: string): void => {
  if (driver === "bridge" || driver === "macvlan") return;
  if (driver === "host" || driver === "null" || driver === "none") {
    forbidden(`only one instance of "${driver}" network is allowed`);
  }
  if (["ipvlan", "overlay"].includes(driver)) {
    missing(`network driver "${driver}" is not supported: use "bridge" or "macvlan"`);
  }
  throw new NaruError("not_found", `could not find network driver "${driver}": use "bridge"`);
};

const checkFields = (request: NetworkCreateRequest): void => {
  if (request.Ingress === true) missing("ingress networks need Swarm, which naru has not");
  if ((request.Scope ?? "") !== "" && request.Scope !== "local") {
    missing(`network scope "${request.Scope}" is not supported: use "local"`);
  }
  if (request.EnableIPv4 === false) missing("networks without IPv4 are not supported yet");
  const ipamDriver = request.IPAM?.Driver ?? "";
  if (ipamDriver !== "" && ipamDriver !== "default") {
    missing(`IPAM driver "${ipamDriver}" is not supported: use "default"`);
  }
  const options = Object.keys(request.IPAM?.Options ?? {});
  if (options.length > 0) missing(`IPAM option "${options[0]}" is not supported`);
};

const checkConfigOnly = (request: NetworkCreateRequest): void => {
  if ((request.ConfigFrom?.Network ?? "") !== "") {
    forbidden("a configuration network cannot depend on another configuration network");
  }
  if (request.Internal === true || request.Attachable === true || request.Ingress === true) {
    forbidden(
      "configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.",
    );
  }
};

/** One entry of the IPAM configuration, checked: what each address may be is told in Docker's words. */
const checkedConfig = (config: IpamConfig): IpamConfig => {
  const text = config.Subnet ?? "";
  if (text === "") invalid("invalid network config:\nsubnet is required with IPAM settings");
  const subnet = parseCidr(text);
  const wrong: string[] = [];
  if (subnet.address !== networkOf(subnet)) {
    const whole = formatCidr({ ...subnet, address: networkOf(subnet) });
    wrong.push(`invalid subnet ${text}: it should be ${whole}`);
  }
  if (config.IPRange) {
    const range = parseCidr(config.IPRange);
    if (range.prefix < subnet.prefix) {
      wrong.push(
        `invalid ip-range ${config.IPRange}: CIDR block is bigger than its parent subnet ${text}`,
      );
    }
    if (range.address !== networkOf(range)) {
      const whole = formatCidr({ ...range, address: networkOf(range) });
      wrong.push(`invalid ip-range ${config.IPRange}: it should be ${whole}`);
    }
    if (!overlaps(subnet, range)) {
      wrong.push(
        `invalid ip-range ${config.IPRange}: parent subnet ${text} doesn't contain ip-range`,
      );
    }
  }
  const inside = (what: string, given: string): void => {
    const address = parseIpv4(given);
    if (address !== undefined && contains(subnet, address)) return;
    wrong.push(`invalid ${what}: parent subnet ${text} doesn't contain this address`);
  };
  if (config.Gateway) inside(`gateway ${config.Gateway}`, config.Gateway);
  for (const [name, address] of Object.entries(config.AuxiliaryAddresses ?? {})) {
    inside(`auxiliary address ${name}`, address);
  }
  if (wrong.length > 0) invalid(`invalid network config:\n${wrong.join("\n")}`);
  return {
    Subnet: text,
    ...(config.IPRange ? { IPRange: config.IPRange } : {}),
    ...(config.Gateway ? { Gateway: config.Gateway } : {}),
    ...(config.AuxiliaryAddresses ? { AuxiliaryAddresses: config.AuxiliaryAddresses } : {}),
  };
};

const subnetsOf = (records: readonly NetworkRecord[]): Cidr[] =>
  records.flatMap(({ bridge }) => (bridge === undefined ? [] : [parseCidr(bridge.subnet)]));

const named = (config: IpamConfig, records: readonly NetworkRecord[]): IpamConfig => {
  const checked = checkedConfig(config);
  const subnet = parseCidr(checked.Subnet ?? "");
  if (subnetsOf(records).some((other) => overlaps(other, subnet))) {
    forbidden("invalid pool request: Pool overlaps with other one on this address space");
  }
  if (checked.Gateway !== undefined) {
    const gateway = parseIpv4(checked.Gateway);
    const isWhole = gateway === networkOf(subnet) || gateway === broadcastOf(subnet);
    if (isWhole && hasOuterAddresses(subnet)) {
      invalid(`invalid gateway ${checked.Gateway}: it stands for the whole subnet`);
    }
    return checked;
  }
  const reserved = new Set(Object.values(checked.AuxiliaryAddresses ?? {}));
  const range = checked.IPRange === undefined ? subnet : parseCidr(checked.IPRange);
  let gateway = networkOf(range);
  if (gateway === networkOf(subnet) && hasOuterAddresses(subnet)) gateway += 1;
  while (reserved.has(formatIpv4(gateway))) gateway += 1;
  if (!contains(subnet, gateway)) {
    invalid(`invalid subnet ${checked.Subnet}: its auxiliary addresses leave none for the gateway`);
  }
  return { ...checked, Gateway: formatIpv4(gateway) };
};

const chosen = (context: PlanContext): IpamConfig => {
  const taken = [...context.takenBlocks(), ...subnetsOf(context.records)];
  const { subnet, gateway } = chooseSubnet(taken, context.chance, context.pools);
  return { Subnet: formatCidr(subnet), Gateway: formatIpv4(gateway) };
};

/** The settings of a configuration network stand in for those of the request, which must have none. */
const withConfigFrom = (
  request: NetworkCreateRequest,
  records: readonly NetworkRecord[],
): NetworkCreateRequest => {
  const name = request.ConfigFrom?.Network ?? "";
  if (name === "") return request;
  const source = records.find((record) => record.name === name || record.id === name);
  if (source?.isConfigOnly !== true) {
    throw new NaruError("not_found", `configuration network "${name}" does not exist`);
  }
  const hasOwn =
    (request.IPAM?.Config ?? []).length > 0 || Object.keys(request.Labels ?? {}).length > 0;
  if (hasOwn) {
    forbidden(
      "user-specified configurations are not supported if the network depends on a configuration network",
    );
  }
  if (Object.keys(request.Options ?? {}).length > 0) {
    forbidden(
      "network driver options are not supported if the network depends on a configuration network",
    );
  }
  return {
    ...request,
    Labels: { ...source.labels },
    Options: { ...source.options },
    IPAM: { Options: source.ipam?.options ?? null, Config: source.ipam?.config ?? [] },
    EnableIPv6: request.EnableIPv6 === true || (source.ipam?.config ?? []).some(isIpv6),
  };
};

const isIpv6 = ({ Subnet = "" }: IpamConfig): boolean => Subnet.includes(":");

const bridgeOf = (
  request: NetworkCreateRequest,
  context: PlanContext,
  config: IpamConfig,
): BridgeRecord => {
  const isMacvlan = request.Driver === "macvlan";
  const options = request.Options ?? {};
  const { linkName, mtu, ...settings } = isMacvlan
    ? { linkName: undefined, mtu: 0, macvlan: macvlanSettings(options) }
    : bridgeSettings(options);
  const parent = "macvlan" in settings ? settings.macvlan?.parent : undefined;
  const sharing = context.records.find(
    ({ bridge }) => parent !== undefined && bridge?.macvlan?.parent === parent,
  );
  if (sharing !== undefined) {
    forbidden(`network ${sharing.name} is already using parent interface ${parent}`);
  }
  const other = context.records.find(
    ({ bridge }) => linkName !== undefined && bridge?.linkName === linkName,
  );
  if (other !== undefined) {
    forbidden(`bridge "${linkName}" belongs to network "${other.name}" already`);
  }
  return {
    linkName: isMacvlan ? "" : (linkName ?? context.linkName),
    subnet: config.Subnet ?? "",
    gateway: config.Gateway ?? "",
    mtu: mtu ?? context.mtu,
    ...settings,
    ...(config.IPRange === undefined ? {} : { range: config.IPRange }),
    ...(config.AuxiliaryAddresses === undefined
      ? {}
      : { reserved: Object.values(config.AuxiliaryAddresses) }),
    ...((request.IPAM?.Config ?? []).some((one) => !isIpv6(one))
      ? { isSubnetNamed: true as const }
      : {}),
    ...(request.Internal === true ? { isInternal: true as const } : {}),
  };
};

/** Throws what `NetworkService.create` throws, but for what the machine itself refuses. */
export const planNetwork = (asked: NetworkCreateRequest, context: PlanContext): NetworkRecord => {
  const { id, createdAt, records } = context;
  checkName(asked.Name, records);
  if (asked.ConfigOnly === true) checkConfigOnly(asked);
  checkFields(asked);
  const request = withConfigFrom(asked, records);
  const all = request.IPAM?.Config ?? [];
  const [configs, configs6] = [all.filter((one) => !isIpv6(one)), all.filter(isIpv6)];
  if (configs.length > 1 || configs6.length > 1) {
    forbidden("bridge driver doesn't support multiple subnets");
  }
  const [first6] = configs6;
  if (first6 !== undefined && request.EnableIPv6 !== true && request.ConfigOnly !== true) {
    invalid(`subnet "${first6.Subnet}" needs an IPv6 network: add --ipv6 (EnableIPv6)`);
  }
  const common = {
    id,
    name: request.Name,
    createdAt,
    labels: request.Labels ?? {},
    options: request.Options ?? {},
  };
  const options = request.IPAM?.Options ?? null;
  if (request.ConfigOnly === true) {
    const config = [...configs.map(checkedConfig), ...configs6];
    return { ...common, driver: "null", ipam: { options, config }, isConfigOnly: true };
  }
  checkDriver(request.Driver || "bridge");
  const [first] = configs;
  const config = first === undefined ? chosen(context) : named(first, records);
  // A gateway that nobody named beside a subnet that somebody did is not shown, as in Docker.
  const shown = first === undefined ? config : checkedConfig(first);
  const plan6 = request.EnableIPv6 === true ? planIpv6(first6, records, context.base6) : undefined;
  return {
    ...common,
    driver: request.Driver === "macvlan" ? "macvlan" : "bridge",
    bridge: {
      ...bridgeOf(request, context, config),
      ...(plan6 === undefined ? {} : { ipv6: plan6.bridge }),
    },
    ipam: { options, config: plan6 === undefined ? [shown] : [shown, plan6.config] },
    ...(request.Attachable === true ? { isAttachable: true as const } : {}),
    ...((request.ConfigFrom?.Network ?? "") === ""
      ? {}
      : { configFrom: request.ConfigFrom?.Network ?? "" }),
  };
};
