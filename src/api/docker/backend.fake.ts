/** A backend in memory: a few records, an echoing process, and a list of what was called. */
import type { DockerBackend, NetworkBackend, VolumeBackend } from "#api/docker/backend.ts";
import { createFakeContainers } from "#api/docker/containers.fake.ts";
import { createFakeImages } from "#api/docker/images.fake.ts";
import { FakeState, ZERO } from "#api/docker/record.fake.ts";
import { NaruError } from "#lib/errors.ts";
import { silentLogger } from "#lib/log.ts";
import type { NetworkResponse } from "#spec/docker/network.ts";
import type { SystemFacts } from "#spec/docker/system.ts";
import type { VolumeResponse } from "#spec/docker/volume.ts";

export type FakeBackend = DockerBackend & FakeState;

const facts = {
  ID: "fake",
  Driver: "overlayfs",
  Name: "host",
  SecurityOptions: ["name=seccomp,profile=builtin"],
  RegistryConfig: { IndexConfigs: {}, InsecureRegistryCIDRs: [], Mirrors: [] },
  Runtimes: { crun: { path: "/usr/bin/crun", status: { a: "b" } } },
  ContainerdCommit: { ID: "" },
  RuncCommit: { ID: "r" },
  InitCommit: { ID: "" },
  FirewallBackend: { Driver: "nftables" },
  ServerVersion: "28.5.2",
} as unknown as SystemFacts;

const network = (name: string, id: string): NetworkResponse => ({
  Name: name,
  Id: id.padEnd(64, "b"),
  Created: ZERO,
  Scope: "local",
  Driver: name === "none" ? "null" : name,
  EnableIPv4: true,
  EnableIPv6: false,
  IPAM: {
    Driver: "default",
    Options: null,
    Config: [{ Subnet: "172.17.0.0/16", Gateway: "172.17.0.1" }],
  },
  Internal: false,
  Attachable: false,
  Ingress: false,
  ConfigFrom: { Network: "" },
  ConfigOnly: false,
  Containers: {},
  Options: {},
  Labels: {},
});

const networks = [network("bridge", "n1"), network("host", "n2"), network("none", "n3")];

const createFakeNetworks = (state: FakeState): NetworkBackend => ({
  list: () => networks,
  get: (name) => {
    const found = networks.find((n) => n.Name === name || n.Id.startsWith(name));
    if (found === undefined) throw new NaruError("not_found", `network ${name} not found`);
    return found;
  },
  create: async (request) => {
    state.note("network create", request);
    return "n4".padEnd(64, "b");
  },
  remove: async (name) => state.note("network remove", name),
  prune: async (filters) => {
    state.note("network prune", [...filters]);
    return ["old"];
  },
});

const volume: VolumeResponse = {
  CreatedAt: ZERO,
  Driver: "local",
  Labels: { a: "b" },
  Mountpoint: "/v/data",
  Name: "data",
  Options: null,
  Scope: "local",
};

const bytesOf = async (source: AsyncIterable<Uint8Array>): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(source));

const createFakeVolumes = (state: FakeState): VolumeBackend => ({
  list: () => [volume],
  get: (name) => {
    if (name !== "data") throw new NaruError("not_found", `get ${name}: no such volume`);
    return volume;
  },
  create: async (request) => {
    state.note("volume create", request);
    return volume;
  },
  remove: async (name, options) => state.note("volume remove", name, options),
  prune: async (filters) => {
    state.note("volume prune", [...filters]);
    return { VolumesDeleted: [], SpaceReclaimed: 0 };
  },
  usedNames: () => new Set(["data"]),
  usage: async () => [{ ...volume, UsageData: { Size: 1, RefCount: 1 } }],
  sized: async () => ({ ...volume, UsageData: { Size: 1, RefCount: 1 } }),
  rename: (name, newName) => {
    state.note("volume rename", name, newName);
    return { ...volume, Name: newName };
  },
  clone: async (name, request, { isPaused }) => {
    state.note("volume clone", name, request, isPaused);
    return { ...volume, Name: request.Name };
  },
  export: async (name, { format, isPaused }) => {
    state.note("volume export", name, format, isPaused);
    return new Response("tar").body as ReadableStream<Uint8Array>;
  },
  import: async (name, tar) => state.note("volume import", name, (await bytesOf(tar)).toString()),
  restore: async (name, archive) => {
    state.note("volume restore", name ?? "", (await bytesOf(archive)).toString());
    return { ...volume, Name: name ?? "kept" };
  },
});

export const createFakeBackend = (): FakeBackend => {
  const state = new FakeState();
  return Object.assign(state, {
    containers: createFakeContainers(state),
    events: {
      publish: () => undefined,
      stream: (({ signal, sinceNs, untilNs }) => {
        state.calls.push(`events ${sinceNs} ${untilNs}`);
        return state.live.subscribe(signal);
      }) satisfies DockerBackend["events"]["stream"],
    },
    images: createFakeImages(state),
    agentSocket: async () => {
      throw new NaruError("not_implemented", "the fake listens nowhere");
    },
    builds: async () => {
      throw new NaruError("not_implemented", "the fake builds nothing");
    },
    networks: createFakeNetworks(state),
    ports: async () => [],
    frontDoor: async () => ({ Listening: [], Problems: [], Authority: "", Routes: [] }),
    volumes: createFakeVolumes(state),
    trash: async () => ({
      list: async () => [],
      undo: async (selector?: string) => {
        state.note("undo", selector ?? "");
        return { restored: [{ kind: "volume" as const, name: "data" }], failed: [] };
      },
      empty: async () => ({ count: 0, sizeBytes: 0 }),
    }),
    system: {
      driver: "overlayfs",
      version: () => ({ Version: "28.5.2" }) as never,
      facts: () => facts,
      buildCache: async () => [],
      containerFiles: ({ id }: { id: string }) => ({
        resolvConf: `/c/${id}/resolv.conf`,
        hostname: `/c/${id}/hostname`,
        hosts: `/c/${id}/hosts`,
      }),
      layerPaths: ({ id }: { id: string }) => ({ UpperDir: `/s/${id}/upper` }),
    },
    logger: silentLogger,
  });
};
