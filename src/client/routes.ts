/**
 * The Engine API as one table: method, path with its placeholders, kind of answer, types of body
 * and result. `client.ts` turns a row into a call.
 */
import type { BuildFeaturesBody } from "#client/build-events.ts";
import type { Method } from "#client/http.ts";
import type {
  InfoResponse,
  PruneResponse,
  SystemDfResponse,
  TrashItem,
  TrashName,
  VersionResponse,
} from "#client/system-types.ts";
import type {
  ChangeResponse,
  ContainerSummary,
  CreateRequest,
  CreateResponse,
  ExecCreateRequest,
  ExecInspectResponse,
  InspectResponse,
  TopResponse,
  WaitResponse,
} from "#spec/docker/container.ts";
import type { ContainerConfig } from "#spec/docker/container-config.ts";
import type { PortMap, Resources, RestartPolicy } from "#spec/docker/host-config.ts";
import type {
  DeleteItem,
  HistoryItem,
  ImageInspect,
  ImageSummary,
  IndexEntryBody,
  RemoteManifestBody,
  TrustCheckBody,
  TrustPolicyBody,
  SearchItem,
} from "#spec/docker/image.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import type { DoorResponse } from "#spec/docker/front-door.ts";
import type { PortChange, PortReach } from "#spec/docker/port-reach.ts";
import type {
  EndpointSettings,
  NetworkCreateRequest,
  NetworkResponse,
} from "#spec/docker/network.ts";
import type {
  VolumeCloneRequest,
  VolumeCreateRequest,
  VolumeResponse,
} from "#spec/docker/volume.ts";

/** json: parsed; none: nothing; stream: the open response for the caller to read. */
export type AnswerKind = "json" | "none" | "stream";

export interface Route<Path extends string, Answer extends AnswerKind, Result, Body> {
  readonly method: Method;
  readonly path: Path;
  readonly answer: Answer;
  /** Types only, never set. */
  readonly types?: { readonly result: Result; readonly body: Body };
}

type JsonRoute<P extends string, Result, Body = undefined> = Route<P, "json", Result, Body>;
type NoneRoute<P extends string, Body = undefined> = Route<P, "none", void, Body>;
type StreamRoute<P extends string, Body = undefined> = Route<P, "stream", never, Body>;

const json =
  <Result, Body = undefined>() =>
  <P extends string>(method: Method, path: P): JsonRoute<P, Result, Body> => ({
    method,
    path,
    answer: "json",
  });
const none =
  <Body = undefined>() =>
  <P extends string>(method: Method, path: P): NoneRoute<P, Body> => ({
    method,
    path,
    answer: "none",
  });
const stream =
  <Body = undefined>() =>
  <P extends string>(method: Method, path: P): StreamRoute<P, Body> => ({
    method,
    path,
    answer: "stream",
  });

export type Upload = AsyncIterable<Uint8Array>;
type UpdateBody = Partial<Resources> & { RestartPolicy?: RestartPolicy };

export const routes = {
  ping: none()("GET", "/_ping"),
  version: json<VersionResponse>()("GET", "/version"),
  info: json<InfoResponse>()("GET", "/info"),
  events: stream()("GET", "/events"),
  systemDf: json<SystemDfResponse>()("GET", "/system/df"),

  containerList: json<ContainerSummary[]>()("GET", "/containers/json"),
  containerCreate: json<CreateResponse, CreateRequest>()("POST", "/containers/create"),
  containerInspect: json<InspectResponse>()("GET", "/containers/{id}/json"),
  containerStart: none()("POST", "/containers/{id}/start"),
  containerStop: none()("POST", "/containers/{id}/stop"),
  containerRestart: none()("POST", "/containers/{id}/restart"),
  containerKill: none()("POST", "/containers/{id}/kill"),
  containerPause: none()("POST", "/containers/{id}/pause"),
  containerUnpause: none()("POST", "/containers/{id}/unpause"),
  containerRename: none()("POST", "/containers/{id}/rename"),
  containerUpdate: json<{ Warnings: string[] | null }, UpdateBody>()(
    "POST",
    "/containers/{id}/update",
  ),
  containerWait: json<WaitResponse>()("POST", "/containers/{id}/wait"),
  /** The same, for the caller to see that the wait stands before it ends. */
  containerWaitStream: stream()("POST", "/containers/{id}/wait"),
  containerRemove: none()("DELETE", "/containers/{id}"),
  containerPrune: json<PruneResponse>()("POST", "/containers/prune"),
  containerTop: json<TopResponse>()("GET", "/containers/{id}/top"),
  containerChanges: json<ChangeResponse[] | null>()("GET", "/containers/{id}/changes"),
  containerLogs: stream()("GET", "/containers/{id}/logs"),
  containerStats: stream()("GET", "/containers/{id}/stats"),
  containerExport: stream()("GET", "/containers/{id}/export"),
  containerResize: none()("POST", "/containers/{id}/resize"),
  containerAttach: stream()("POST", "/containers/{id}/attach"),
  containerCommit: json<{ Id: string }, Partial<ContainerConfig>>()("POST", "/commit"),
  archiveStat: stream()("HEAD", "/containers/{id}/archive"),
  archiveGet: stream()("GET", "/containers/{id}/archive"),
  archivePut: none<Upload>()("PUT", "/containers/{id}/archive"),

  execCreate: json<{ Id: string }, ExecCreateRequest>()("POST", "/containers/{id}/exec"),
  execStart: stream<{ Detach: boolean; Tty: boolean; ConsoleSize?: [number, number] }>()(
    "POST",
    "/exec/{id}/start",
  ),
  execResize: none()("POST", "/exec/{id}/resize"),
  execInspect: json<ExecInspectResponse>()("GET", "/exec/{id}/json"),

  imageList: json<ImageSummary[]>()("GET", "/images/json"),
  imageInspect: json<ImageInspect>()("GET", "/images/{name}/json"),
  distribution: json<{ Descriptor: { digest: string } }>()("GET", "/distribution/{name}/json"),
  imageHistory: json<HistoryItem[]>()("GET", "/images/{name}/history"),
  imageRemove: json<DeleteItem[]>()("DELETE", "/images/{name}"),
  imageTag: none()("POST", "/images/{name}/tag"),
  imagePull: stream()("POST", "/images/create"),
  imageImport: stream<Upload>()("POST", "/images/create"),
  imagePush: stream()("POST", "/images/{name}/push"),
  imageSave: stream()("GET", "/images/get"),
  imageTree: stream()("GET", "/naru/images/{id}/tree"),
  naruBuild: stream<Upload>()("POST", "/naru/build"),
  naruBuildFeatures: json<BuildFeaturesBody>()("GET", "/naru/build"),
  imageLoad: stream<Upload>()("POST", "/images/load"),
  imagePrune: json<PruneResponse>()("POST", "/images/prune"),
  manifestGet: json<RemoteManifestBody>()("GET", "/naru/manifests/{name}"),
  manifestPush: stream<{ Entries: readonly IndexEntryBody[] }>()("POST", "/naru/manifests"),
  trustPolicy: json<TrustPolicyBody>()("GET", "/naru/trust"),
  trustCheck: json<TrustCheckBody>()("GET", "/naru/trust/{name}"),
  imageCopy: stream()("POST", "/naru/images/copy"),
  imageExport: stream()("GET", "/naru/images/export"),
  imagePublish: stream<Upload>()("POST", "/naru/images/publish"),
  imageSearch: json<SearchItem[]>()("GET", "/images/search"),
  login: json<{ IdentityToken?: string; Status: string }, AuthConfig>()("POST", "/auth"),
  imageBootstrap: stream()("POST", "/naru/images/bootstrap"),

  volumeList: json<{ Volumes: VolumeResponse[] | null; Warnings: string[] | null }>()(
    "GET",
    "/volumes",
  ),
  volumeCreate: json<VolumeResponse, VolumeCreateRequest>()("POST", "/volumes/create"),
  volumeInspect: json<VolumeResponse>()("GET", "/volumes/{name}"),
  volumeRemove: none()("DELETE", "/volumes/{name}"),
  volumePrune: json<PruneResponse>()("POST", "/volumes/prune"),
  volumeRename: json<VolumeResponse>()("POST", "/naru/volumes/{name}/rename"),
  volumeClone: json<VolumeResponse, VolumeCloneRequest>()("POST", "/naru/volumes/{name}/clone"),
  volumeExport: stream()("GET", "/naru/volumes/{name}/export"),
  volumeImport: none<Upload>()("POST", "/naru/volumes/{name}/import"),
  volumeRestore: json<VolumeResponse, Upload>()("POST", "/naru/volumes/restore"),

  networkList: json<NetworkResponse[]>()("GET", "/networks"),
  networkInspect: json<NetworkResponse>()("GET", "/networks/{id}"),
  networkCreate: json<{ Id: string; Warning?: string }, NetworkCreateRequest>()(
    "POST",
    "/networks/create",
  ),
  networkConnect: none<{ Container: string; EndpointConfig?: Partial<EndpointSettings> }>()(
    "POST",
    "/networks/{id}/connect",
  ),
  networkDisconnect: none<{ Container: string; Force: boolean }>()(
    "POST",
    "/networks/{id}/disconnect",
  ),
  networkRemove: none()("DELETE", "/networks/{id}"),
  frontDoor: json<DoorResponse>()("GET", "/naru/front-door"),
  portList: json<PortReach[]>()("GET", "/naru/ports"),
  portChange: json<{ Ports: PortMap }, PortChange>()("POST", "/naru/containers/{id}/ports"),
  networkPrune: json<PruneResponse>()("POST", "/networks/prune"),

  systemCheck: stream()("POST", "/naru/system/check"),
  trashList: json<{ Items: TrashItem[] }>()("GET", "/naru/trash"),
  trashUndo: json<{ Restored: TrashName[]; Failed: (TrashName & { Error: string })[] }>()(
    "POST",
    "/naru/trash/undo",
  ),
  trashEmpty: json<{ Count: number; SpaceReclaimed: number }>()("POST", "/naru/trash/empty"),

  buildPrune: json<PruneResponse>()("POST", "/build/prune"),
} as const;

export type Routes = typeof routes;
export type RouteName = keyof Routes;
