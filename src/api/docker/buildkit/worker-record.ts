/** The engine as clients and frontends see it: one worker. */
import { VERSION as NARU_VERSION } from "#lib/version.ts";
import { HOST_PLATFORM } from "#spec/image/platform.ts";

export const BUILDER_VERSION = { package: "naru", version: NARU_VERSION, revision: "" };

const { architecture, os, variant = "", osVersion = "" } = HOST_PLATFORM;

const WORKER = {
  id: "naru",
  labels: {
    "org.mobyproject.buildkit.worker.executor": "oci",
    // Says to clients that archives, pushes and several exporters work.
    "org.mobyproject.buildkit.worker.snapshotter": "overlayfs",
  },
  platforms: [{ architecture, os, variant, osVersion }],
  buildkitVersion: BUILDER_VERSION,
};

/** Clients write the address in place of "host-gateway" themselves. */
const HOST_GATEWAY = "org.mobyproject.buildkit.worker.moby.host-gateway-ip";

export const workerRecord = (hostGateway: string) => ({
  ...WORKER,
  labels: { ...WORKER.labels, [HOST_GATEWAY]: hostGateway },
});

/** As JSON for a frontend's environment. */
export const workerInfo = (): object => ({
  id: WORKER.id,
  labels: WORKER.labels,
  platforms: [{ architecture, os, ...(variant === "" ? {} : { variant }) }],
  gcPolicy: [],
  buildkitVersion: BUILDER_VERSION,
  cdiDevices: [],
});
