/**
 * Everything the Docker API calls. `daemon/` composes it from the rooms; what is not a room's own
 * interface is declared here as narrowly as the wire needs it.
 */
import type { Duplex } from "node:stream";

import type { Builds } from "#build/build.ts";
import type { ContainerRecord } from "#container/container.ts";
import type { Containers, Events } from "#container/containers.ts";
import type { Trash } from "#gc/trash.ts";
import type { Images } from "#image/image.ts";
import type { ImageTransfers } from "#image/transfer.ts";
import type { FileSender } from "#kernel/send-file.ts";
import type { Logger } from "#lib/log.ts";
import type { DoorResponse } from "#spec/docker/front-door.ts";
import type { PortReach } from "#spec/docker/port-reach.ts";
import type { Filters } from "#spec/docker/filters.ts";
import type { NetworkCreateRequest, NetworkResponse } from "#spec/docker/network.ts";
import type { BuildCacheRecord, SystemFacts, VersionResponse } from "#spec/docker/system.ts";
import type { Volumes } from "#volume/volume.ts";

/** One line of a progress stream (pull, load, bootstrap), as it stands on the wire. */
export interface ProgressMessage {
  readonly stream?: string;
  readonly status?: string;
  readonly id?: string;
  readonly progress?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly aux?: unknown;
}

export type ImageBackend = ImageTransfers &
  Pick<
    Images,
    | "find"
    | "get"
    | "list"
    | "inspect"
    | "history"
    | "tag"
    | "remove"
    | "prune"
    | "usage"
    | "load"
    | "save"
    | "import"
    | "fetchRoot"
    | "check"
    | "trustPolicy"
    | "bundles"
  > & {
    /**
     * Makes the built-in image `naru/hello` when it is missing. Yields pull-like progress; throws what
     * kept it from being made.
     */
    hello(signal: AbortSignal): AsyncIterable<ProgressMessage>;
    /** Makes a base image from the distribution's package mirror: "debian:bookworm". */
    bootstrap(
      reference: string,
      mirror: string | undefined,
      signal: AbortSignal,
    ): AsyncIterable<ProgressMessage>;
  };

/** Networks in their wire form, `Containers` filled in. */
export interface NetworkBackend {
  list(): readonly NetworkResponse[];
  /** By name, id or unambiguous id prefix. Throws not_found "network X not found". */
  get(nameOrId: string): NetworkResponse;
  /** Gives the id. */
  create(request: NetworkCreateRequest): Promise<string>;
  remove(nameOrId: string): Promise<void>;
  /** Filters `label`, `label!`, `until`. Gives the names of what went. */
  prune(filters: Filters): Promise<string[]>;
}

export type VolumeBackend = Pick<
  Volumes,
  | "list"
  | "get"
  | "create"
  | "remove"
  | "prune"
  | "usedNames"
  | "usage"
  | "sized"
  | "rename"
  | "clone"
  | "export"
  | "import"
  | "restore"
>;

/** Files that the engine keeps for a container outside its root. */
export interface ContainerFiles {
  readonly resolvConf: string;
  readonly hostname: string;
  readonly hosts: string;
}

export interface SystemBackend {
  /** Name of the snapshot driver, as inspect tells it. */
  readonly driver: string;
  version(): VersionResponse;
  facts(): SystemFacts | Promise<SystemFacts>;
  buildCache(): Promise<readonly BuildCacheRecord[]>;
  containerFiles(record: ContainerRecord): ContainerFiles;
  /** Where the layers of its root are kept: LowerDir, UpperDir, WorkDir. */
  layerPaths(record: ContainerRecord): Record<string, string>;
}

/** A socket on this host; disposing closes it and all that is connected to it. */
export interface AgentSocket extends Disposable {
  /** Absolute. */
  readonly path: string;
}

export interface DockerBackend {
  readonly containers: Containers;
  readonly events: Events;
  readonly images: ImageBackend;
  readonly networks: NetworkBackend;
  /** For what is on disk as it is sent. Without it all of that goes through this process. */
  fileSender?(): Promise<FileSender>;
  /** Published ports of running containers, and who can reach them. */
  ports(): Promise<PortReach[]>;
  /** Throws failed_precondition where it is off. */
  frontDoor(): Promise<DoorResponse>;
  readonly volumes: VolumeBackend;
  /** What was removed and can be brought back; loaded when somebody asks. */
  trash(): Promise<Pick<Trash, "list" | "undo" | "empty">>;
  /** Loaded when the first build asks for it. */
  builds(): Promise<Builds>;
  /** Listens at a path of its own: steps of builds reach the agent of their client there. */
  agentSocket(onConnection: (connection: Duplex) => void): Promise<AgentSocket>;
  readonly system: SystemBackend;
  readonly logger: Logger;
}
