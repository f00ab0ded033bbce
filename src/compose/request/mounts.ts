/** Mounts of a service, with its secrets and configs that are files. */
import type { ObservedContainer } from "#compose/compose.ts";
import type { FileMount, FileObject, Model, Service, ServiceMount } from "#spec/compose/compose.ts";
import type { BindOptions, Mount, VolumeOptions } from "#spec/docker/host-config.ts";
import { NaruError } from "#lib/errors.ts";

const RECURSIVE: Readonly<Record<string, BindOptions>> = {
  disabled: { NonRecursive: true },
  writable: { ReadOnlyNonRecursive: true },
  readonly: { ReadOnlyForceRecursive: true },
};

const bindOptions = (bind: NonNullable<ServiceMount["bind"]>): BindOptions => ({
  ...(bind.propagation === undefined
    ? {}
    : { Propagation: bind.propagation as NonNullable<BindOptions["Propagation"]> }),
  ...(bind.create_host_path === true ? { CreateMountpoint: true } : {}),
  ...(bind.recursive === undefined ? {} : RECURSIVE[bind.recursive]),
});

const volumeOptions = (volume: NonNullable<ServiceMount["volume"]>): VolumeOptions => ({
  ...(volume.nocopy === true ? { NoCopy: true } : {}),
  ...(volume.subpath === undefined ? {} : { Subpath: volume.subpath }),
  ...(volume.labels === undefined ? {} : { Labels: volume.labels }),
});

const sourceOf = (mount: ServiceMount, model: Model): string | undefined =>
  mount.type === "volume" && mount.source !== undefined
    ? (model.volumes?.[mount.source]?.name ?? mount.source)
    : mount.source;

const asMount = (mount: ServiceMount, model: Model): Mount => {
  const source = sourceOf(mount, model);
  return {
    Type: mount.type,
    ...(source === undefined ? {} : { Source: source }),
    Target: mount.target,
    ...(mount.read_only === true ? { ReadOnly: true } : {}),
    ...(mount.consistency === undefined ? {} : { Consistency: mount.consistency }),
    ...(mount.type === "bind" && mount.bind !== undefined
      ? { BindOptions: bindOptions(mount.bind) }
      : {}),
    ...(mount.type === "volume" && mount.volume !== undefined
      ? { VolumeOptions: volumeOptions(mount.volume) }
      : {}),
    ...(mount.type === "tmpfs" && mount.tmpfs !== undefined
      ? {
          TmpfsOptions: {
            ...(mount.tmpfs.size === undefined ? {} : { SizeBytes: Number(mount.tmpfs.size) }),
            ...(mount.tmpfs.mode === undefined ? {} : { Mode: mount.tmpfs.mode }),
          },
        }
      : {}),
    ...(mount.type === "image" && mount.image?.subpath !== undefined
      ? { ImageOptions: { Subpath: mount.image.subpath } }
      : {}),
  };
};

/** What `binds` cannot say. */
const needsMount = ({ type, bind, volume }: ServiceMount): boolean =>
  type === "bind"
    ? bind !== undefined &&
      (bind.create_host_path !== true ||
        bind.propagation !== undefined ||
        bind.recursive !== undefined)
    : volume?.nocopy === true ||
      volume?.subpath !== undefined ||
      Object.keys(volume?.labels ?? {}).length > 0;

/** As docker compose has it, wherever it suffices: only `binds` create folders and know SELinux. */
const asBind = (mount: ServiceMount, model: Model): string | undefined => {
  const isNamed = mount.type === "volume" && (mount.source ?? "") in (model.volumes ?? {});
  if ((mount.type !== "bind" && !isNamed) || needsMount(mount)) return undefined;
  const options = [mount.read_only === true ? "ro" : "rw"];
  if (mount.bind?.selinux !== undefined) options.push(mount.bind.selinux);
  return `${sourceOf(mount, model) ?? ""}:${mount.target}:${options.join(",")}`;
};

export type FileKind = "secret" | "config";

/** Absolute path of a secret or config in its container. */
export const fileTarget = (kind: FileKind, mount: FileMount): string => {
  const folder = kind === "secret" ? "/run/secrets/" : "/";
  const target = mount.target ?? mount.source;
  return target.startsWith("/") ? target : folder + target;
};

/** Content that is written into the container instead of a mounted file. */
export const isInjected = (mount: FileMount, object: FileObject): boolean =>
  object.file === undefined ||
  mount.uid !== undefined ||
  mount.gid !== undefined ||
  mount.mode !== undefined;

const declared = (kind: FileKind, mount: FileMount, model: Model): FileObject => {
  const object = (kind === "secret" ? model.secrets : model.configs)?.[mount.source];
  if (object === undefined) {
    throw new NaruError("invalid_argument", `the ${kind} "${mount.source}" is not declared`);
  }
  if (object.external === true || object.driver !== undefined) {
    throw new NaruError(
      "not_implemented",
      `the ${kind} "${mount.source}" is kept by a cluster, which this engine is not; use "file", "environment" or "content"`,
    );
  }
  return object;
};

export interface FileUse {
  readonly kind: FileKind;
  readonly mount: FileMount;
  readonly object: FileObject;
}

/** Every secret and config of the service. Throws for those an engine without a cluster has not. */
export const filesOf = (service: Service, model: Model): FileUse[] => [
  ...(service.secrets ?? []).map((mount) => ({
    kind: "secret" as const,
    mount,
    object: declared("secret", mount, model),
  })),
  ...(service.configs ?? []).map((mount) => ({
    kind: "config" as const,
    mount,
    object: declared("config", mount, model),
  })),
];

/** Anonymous volumes of the container before go on in the next one. */
const inherited = (service: Service, before: ObservedContainer | undefined): Mount[] => {
  const anonymous = new Set(
    (service.volumes ?? [])
      .filter((mount) => mount.type === "volume" && mount.source === undefined)
      .map((mount) => mount.target),
  );
  const named = new Set((service.volumes ?? []).map((mount) => mount.target));
  return (before?.mounts ?? [])
    .filter(
      (mount) =>
        mount.Type === "volume" &&
        mount.Name !== undefined &&
        /^[0-9a-f]{64}$/.test(mount.Name) &&
        (anonymous.has(mount.Destination) || !named.has(mount.Destination)),
    )
    .map((mount) => ({
      Type: "volume",
      Source: mount.Name ?? "",
      Target: mount.Destination,
      ...(mount.RW ? {} : { ReadOnly: true }),
    }));
};

export interface MountRequest {
  readonly Binds: string[];
  readonly Mounts: Mount[];
}

export const mountsOf = (
  service: Service,
  model: Model,
  before: ObservedContainer | undefined,
): MountRequest => {
  const old = inherited(service, before);
  const taken = new Set(old.map((mount) => mount.Target));
  const binds: string[] = [];
  const mounts: Mount[] = [...old];
  for (const mount of service.volumes ?? []) {
    if (taken.has(mount.target)) continue;
    const bind = asBind(mount, model);
    if (bind === undefined) mounts.push(asMount(mount, model));
    else binds.push(bind);
    taken.add(mount.target);
  }
  for (const { kind, mount, object } of filesOf(service, model)) {
    const target = fileTarget(kind, mount);
    if (taken.has(target) || isInjected(mount, object)) continue;
    mounts.push({
      Type: "bind",
      Source: object.file ?? "",
      Target: target,
      ReadOnly: true,
      ...(kind === "secret" ? { BindOptions: {} } : {}),
    });
    taken.add(target);
  }
  return { Binds: binds, Mounts: mounts };
};
