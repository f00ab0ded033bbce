/** What checks of networks share: inspect's shapes, pings and look-ups. */
import { docker, dockerOk, inspect } from "./check.ts";

export interface Network {
  readonly Name: string;
  readonly Id: string;
  readonly Driver: string;
  readonly Internal: boolean;
  readonly Attachable: boolean;
  readonly EnableIPv6: boolean;
  readonly ConfigOnly: boolean;
  readonly ConfigFrom: { readonly Network: string };
  readonly IPAM: { readonly Driver: string; readonly Config: Record<string, unknown>[] };
  readonly Containers: Record<string, { readonly Name: string; readonly IPv4Address: string }>;
  readonly Labels: Record<string, string>;
  readonly Options: Record<string, string>;
}

export interface Endpoint {
  readonly IPAddress: string;
  readonly Gateway: string;
  readonly EndpointID: string;
  readonly NetworkID: string;
  readonly MacAddress: string;
  readonly Aliases: string[] | null;
  readonly DNSNames: string[] | null;
  readonly IPAMConfig: { readonly IPv4Address?: string } | null;
}

export const networkInfo = async (name: string): Promise<Network> =>
  (JSON.parse(await dockerOk("network", "inspect", name)) as Network[])[0]!;

export const endpoint = async (container: string, network: string): Promise<Endpoint> =>
  (await inspect<{ NetworkSettings: { Networks: Record<string, Endpoint> } }>(container))
    .NetworkSettings.Networks[network]!;

export const pings = async (from: string, to: string): Promise<boolean> =>
  (await docker(["exec", from, "ping", "-c", "1", "-W", "5", to])).code === 0;

export const lookup = async (from: string, name: string): Promise<string> => {
  const out = await docker(["exec", from, "nslookup", "-type=a", name]);
  return `${out.stdout}${out.stderr}`;
};

let third = 0;
/** A subnet no other check has: "10.77.3.". */
export const block = (): string => `10.77.${(third += 1)}.`;
