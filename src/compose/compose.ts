/**
 * A project brought to life through an engine's API.
 *
 * observe.ts looks: containers, networks, volumes and images that belong to the project, in one
 * round of requests. decide.ts is pure: from the model and what was observed it makes a `Plan`, a
 * graph of operations, each with its reason. plan.ts prints it. execute.ts carries it out, as much
 * at once as the graph allows. After `up` the same decision gives an empty plan.
 *
 * Lifecycle: a `Stack` (stack.ts) is opened for one command and closed with it. Nothing is kept
 * between commands: what exists is told by the labels of labels.ts alone, which are those of
 * docker compose, so that each tool takes over the other's projects.
 *
 * Idempotence: every operation may be cut short and run again; `up` after a broken `up` converges.
 * Errors: `NaruError` with the noun in quotes; the first one stops what has not begun yet.
 */
import type { Client } from "#client/client.ts";
import type { ContainerStatus, MountPoint } from "#spec/docker/container.ts";
import type { Condition } from "#spec/compose/compose.ts";
import type { Project } from "#spec/compose/project.ts";

export interface ObservedContainer {
  readonly id: string;
  /** Without the slash. */
  readonly name: string;
  readonly service: string;
  /** 0 for one-off containers. */
  readonly number: number;
  readonly isOneOff: boolean;
  readonly state: ContainerStatus;
  readonly health: "none" | "starting" | "healthy" | "unhealthy";
  /** Of an exited container, where the engine's summary says it. */
  readonly exitCode: number | undefined;
  readonly image: string;
  readonly imageId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly networkNames: readonly string[];
  readonly networkIds: readonly string[];
  readonly mounts: readonly MountPoint[];
  /** Seconds. */
  readonly created: number;
  readonly status: string;
  readonly command: string;
  readonly ports: readonly {
    readonly IP?: string;
    readonly PrivatePort: number;
    readonly PublicPort?: number;
    readonly Type: string;
  }[];
}

export interface ObservedNetwork {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface ObservedVolume {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Observed {
  /** Of this project, one-off ones too. */
  readonly containers: readonly ObservedContainer[];
  /** All of the engine, by name. */
  readonly networks: ReadonlyMap<string, ObservedNetwork>;
  readonly volumes: ReadonlyMap<string, ObservedVolume>;
  /** By the name in the model; undefined when the engine has no such image. */
  readonly images: ReadonlyMap<string, string | undefined>;
}

interface Common {
  /** Unique in the plan. */
  readonly id: string;
  readonly needs: readonly string[];
  /** Why, in a few words. */
  readonly reason: string;
}

export type Operation = Common &
  (
    | { readonly kind: "pull"; readonly image: string; readonly service: string }
    | { readonly kind: "build"; readonly image: string; readonly service: string }
    | { readonly kind: "create-network"; readonly key: string }
    /**
     * The project's containers on it are disconnected, unless it `isOptional`. With others on it, it
     * stays, which is told (`isOptional`) or a failure.
     */
    | {
        readonly kind: "remove-network";
        readonly networkId: string;
        readonly name: string;
        readonly isOptional: boolean;
      }
    | { readonly kind: "create-volume"; readonly key: string }
    /** Used by somebody else: it stays, which is told (`isOptional`) or a failure. */
    | { readonly kind: "remove-volume"; readonly name: string; readonly isOptional: boolean }
    | { readonly kind: "initialize"; readonly service: string }
    | {
        readonly kind: "create";
        readonly service: string;
        readonly number: number;
        readonly replaces: ObservedContainer | undefined;
        /** The new one runs before the old one goes. */
        readonly isRolling: boolean;
      }
    | {
        readonly kind: "start";
        readonly service: string;
        readonly number: number;
        /** Undefined for one that this plan creates. */
        readonly container: ObservedContainer | undefined;
      }
    | { readonly kind: "restart"; readonly service: string; readonly container: ObservedContainer }
    | { readonly kind: "stop"; readonly container: ObservedContainer }
    | {
        readonly kind: "remove";
        readonly container: ObservedContainer;
        readonly hasVolumes: boolean;
      }
    | {
        readonly kind: "await";
        readonly service: string;
        readonly condition: Condition;
        /** Off: nobody insists on it, so a failure is told and that is all. */
        readonly isRequired: boolean;
      }
    /** A recreation was cut short before the new container had its name. */
    | { readonly kind: "rename"; readonly container: ObservedContainer; readonly name: string }
    | { readonly kind: "remove-image"; readonly image: string }
  );

export interface Plan {
  readonly operations: readonly Operation[];
}

export type Phase = "begin" | "done" | "skip" | "fail";

/** What is happening, for people: `Container web-1  Creating`. */
export interface ProgressEvent {
  readonly subject: string;
  readonly status: string;
  readonly phase: Phase;
  readonly detail?: string;
}

/** What the command line lends: files, terminals, builders. */
export interface Host {
  readFile(path: string): Promise<Uint8Array>;
  onProgress(event: ProgressEvent): void;
  /** X-Registry-Auth for an image. */
  registryHeaders(image: string): Promise<Record<string, string>>;
  /** Builds the image of a service under this name; rejects with the builder's words. */
  buildImage(service: string, image: string): Promise<void>;
}

export interface StackOptions {
  readonly client: Client;
  readonly project: Project;
  readonly host: Host;
  /** How many operations run at once. */
  readonly parallel: number;
  /** Seconds containers get to stop; their own when undefined. */
  readonly stopTimeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}
