/**
 * The engine's container as one immutable value. Each transition makes a new record, commits its
 * row, and only then swaps it in (state.ts), so whoever holds a record may cache what it derived.
 */
import type { Sandbox } from "#network/network.ts";
import type { ContainerConfig } from "#spec/docker/container-config.ts";
import type { Health, MountPoint } from "#spec/docker/container.ts";
import type { Digest } from "#spec/image/digest.ts";
import type { HostConfig, PortMap } from "#spec/docker/host-config.ts";
import type { EndpointSettings } from "#spec/docker/network.ts";

/** A live process as seen from the host. */
export interface ProcessIdentity {
  readonly pid: number;
  /** /proc/PID/stat field 22: tells a reused pid from the real one. Decimal string. */
  readonly startTicks: string;
  readonly conmonPid: number;
}

interface Ended {
  readonly exitCode: number;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly isOomKilled: boolean;
  /** Why the last start failed; "" when it did not. */
  readonly error: string;
}

/**
 * created → running ⇄ paused; running|paused → exited → running; running → restarting → running;
 * created|exited|dead → removing → (gone) | dead. "restarting" waits for its back-off to pass.
 */
export type ContainerState =
  | ({ readonly status: "created" } & Ended)
  | ({
      readonly status: "running" | "paused";
      readonly process: ProcessIdentity;
      readonly health?: Health;
    } & Ended)
  | ({ readonly status: "restarting" } & Ended)
  | ({ readonly status: "exited"; readonly health?: Health } & Ended)
  | ({ readonly status: "removing" | "dead" } & Ended);

/** `--link` on the default bridge. */
export interface ContainerLink {
  readonly containerId: string;
  /** What the target is called in this container. */
  readonly alias: string;
}

export interface ContainerRecord {
  /** 64 hex digits. */
  readonly id: string;
  /** Without the leading slash. */
  readonly name: string;
  readonly createdAt: string;
  readonly platform: string;
  /** "sha256:…" of the image config. */
  readonly imageId: Digest;
  /** chainID of the image's topmost layer; undefined for an image without layers. */
  readonly imageChainId?: Digest;
  /** Merged with the image's config. */
  readonly config: ContainerConfig;
  /** Defaults filled in. */
  readonly hostConfig: HostConfig;
  /** argv[0] and the rest, as Docker shows them. */
  readonly path: string;
  readonly args: readonly string[];
  readonly mounts: readonly MountPoint[];
  /** By network name; addresses filled in while running. */
  readonly endpoints: Readonly<Record<string, EndpointSettings>>;
  /** MAC addresses that were asked for, by network name. */
  readonly askedMacs?: Readonly<Record<string, string>>;
  readonly links?: readonly ContainerLink[];
  /** While running with an own network namespace. */
  readonly sandbox?: Sandbox;
  /** Realised published ports while running. */
  readonly ports: PortMap;
  /** "" for driver none. */
  readonly logPath: string;
  readonly restartCount: number;
  /** Set by stop/kill by a user, cleared by start: keeps `unless-stopped` and `always` from restarting. */
  readonly isStoppedByUser: boolean;
  readonly state: ContainerState;
}

/** With a process. */
export type LiveRecord = ContainerRecord & {
  readonly state: Extract<ContainerState, { status: "running" | "paused" }>;
};

export const isLive = (
  state: ContainerState,
): state is Extract<ContainerState, { status: "running" | "paused" }> =>
  state.status === "running" || state.status === "paused";
