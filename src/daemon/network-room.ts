/** The network room with the kernel that it acts through: the daemon's, and the one whose traces a reset removes. */
import type { Database } from "#database/database.ts";
import type { Kernel } from "#kernel/kernel.ts";
import { createLinkKernel } from "#kernel/link.ts";
import { createNftKernel } from "#kernel/nft.ts";
import { portKernel } from "#kernel/reserve.ts";
import { readSysctl, writeSysctl } from "#kernel/sysctl.ts";
import type { Logger } from "#lib/log.ts";
import { createNetworkRows } from "#metadata/networks.ts";
import { createLinuxHost } from "#network/linux-host.ts";
import type { NetworkService } from "#network/network.ts";
import type { NetworkServiceOptions } from "#network/service-options.ts";
import { createNetworkService } from "#network/service.ts";
import type { SubnetPool } from "#network/subnet.ts";
import { buildOfProgram, companionCommand } from "#daemon/worker-command.ts";

export interface NetworkInputs {
  readonly instance: string;
  readonly execRoot: string;
  readonly kernel: Kernel;
  readonly log: Logger;
  readonly database: Database;
  readonly publish?: NonNullable<NetworkServiceOptions["publish"]>;
  readonly bip?: string | undefined;
  readonly pools?: readonly SubnetPool[] | undefined;
  readonly publishIp?: string;
  readonly mtu?: number | undefined;
}

export const buildNetwork = (inputs: NetworkInputs): NetworkService => {
  const nft = createNftKernel();
  return createNetworkService({
    instanceId: inputs.instance,
    execRoot: inputs.execRoot,
    host: createLinuxHost({
      namespaces: inputs.kernel,
      links: createLinkKernel(),
      ports: portKernel,
      sysctl: { readSysctl, writeSysctl },
      applyRuleset: (ruleset) => nft.apply(ruleset),
      applyRulesetIn: (netnsPath, ruleset) => nft.applyIn(netnsPath, ruleset),
    }),
    beside: { command: [...companionCommand(), "network"], build: buildOfProgram() },
    rows: createNetworkRows(inputs.database),
    logger: inputs.log.with({ room: "network" }),
    ...(inputs.publish === undefined ? {} : { publish: inputs.publish }),
    ...(inputs.publishIp === undefined ? {} : { defaultHostIp: inputs.publishIp }),
    ...(inputs.pools === undefined ? {} : { pools: inputs.pools }),
    ...(inputs.bip === undefined ? {} : { bip: inputs.bip }),
    ...(inputs.mtu === undefined ? {} : { mtu: inputs.mtu }),
  });
};
