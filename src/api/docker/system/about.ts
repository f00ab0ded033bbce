/** GET /version and GET /info. */
import type { Call } from "#api/docker/call.ts";
import { get, type Route } from "#api/docker/route.ts";
import { now } from "#lib/clock.ts";
import { isLive } from "#container/container.ts";
import type { InfoResponse, RuntimeInfo, SystemFacts } from "#spec/docker/system.ts";

const version = (call: Call): void => call.json(200, call.backend.system.version());

const countStates = (call: Call) => {
  const records = call.backend.containers.list();
  let running = 0;
  let paused = 0;
  for (const { state } of records) {
    if (state.status === "paused") paused += 1;
    else if (isLive(state) || state.status === "restarting") running += 1;
  }
  return {
    Containers: records.length,
    ContainersRunning: running,
    ContainersPaused: paused,
    ContainersStopped: records.length - running - paused,
  };
};

/** Below 1.44 runtimes had no status. */
const legacyRuntimes = (runtimes: SystemFacts["Runtimes"]): Record<string, RuntimeInfo> =>
  Object.fromEntries(
    Object.entries(runtimes).map(([name, { path, runtimeArgs }]) => [
      name,
      {
        ...(path === undefined ? {} : { path }),
        ...(runtimeArgs === undefined ? {} : { runtimeArgs }),
      },
    ]),
  );

/** Fields that came and went between API versions. */
const shapeInfo = (info: InfoResponse, minor: number): object => {
  const shaped: Record<string, unknown> = { ...info };
  if (minor < 25) {
    shaped["SecurityOptions"] = info.SecurityOptions.map(
      (option) => /name=([^,]+)/.exec(option)?.[1] ?? option,
    );
  }
  if (minor < 44) shaped["Runtimes"] = legacyRuntimes(info.Runtimes);
  if (minor < 47) {
    shaped["RegistryConfig"] = {
      ...info.RegistryConfig,
      AllowNondistributableArtifactsCIDRs: null,
      AllowNondistributableArtifactsHostnames: null,
    };
  }
  if (minor < 49) {
    delete shaped["FirewallBackend"];
    for (const name of ["ContainerdCommit", "RuncCommit", "InitCommit"] as const) {
      shaped[name] = { ...info[name], Expected: info[name].ID };
    }
  }
  if (minor < 50) {
    shaped["BridgeNfIptables"] = false;
    shaped["BridgeNfIp6tables"] = false;
  }
  return shaped;
};

const info = async (call: Call): Promise<void> => {
  const { images, system } = call.backend;
  const facts = await system.facts();
  const answer: InfoResponse = {
    ...facts,
    ...countStates(call),
    Images: images.list({ isAll: true, filters: new Map() }).length,
    SystemTime: now(),
    Swarm: {
      NodeID: "",
      NodeAddr: "",
      LocalNodeState: "inactive",
      ControlAvailable: false,
      Error: "",
      RemoteManagers: null,
    },
  };
  call.json(200, shapeInfo(answer, call.minor));
};

export const aboutRoutes: readonly Route[] = [get("/version", version), get("/info", info)];
