/**
 * One wish for a mount, from `-v` or from `--mount`, checked by itself. Pure; the words of the
 * refusals are Docker's.
 */
import { isAbsolute, normalize } from "node:path";
import { NaruError, toNaruError } from "#lib/errors.ts";
import type { Mount } from "#spec/docker/host-config.ts";
import { PROPAGATIONS, type Propagation, parseMountMode } from "#volume/mount-mode.ts";

interface MountWishBase {
  /** Normalized and absolute. */
  readonly destination: string;
  readonly isReadOnly: boolean;
  /** As it was written in `-v`; "" for --mount. */
  readonly mode: string;
}

export interface BindWish extends MountWishBase {
  readonly type: "bind";
  readonly source: string;
  readonly propagation: Propagation;
  /** A missing source becomes a directory. */
  readonly createsSource: boolean;
}

export interface VolumeWish extends MountWishBase {
  readonly type: "volume";
  /** undefined = an anonymous volume. */
  readonly name: string | undefined;
  readonly driver: string;
  readonly driverOptions: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** Fill it from the image when it is empty. */
  readonly isCopiedUp: boolean;
}

export interface TmpfsWish extends MountWishBase {
  readonly type: "tmpfs";
}

export interface ImageWish extends MountWishBase {
  readonly type: "image";
  readonly reference: string;
}

export type MountWish = BindWish | VolumeWish | TmpfsWish | ImageWish;

const refuse = (message: string): never => {
  throw new NaruError("invalid_argument", message);
};

/** "/a/b/" and "/a//b" are the same place. */
export const normalizeDestination = (path: string): string =>
  normalize(path).replace(/(.)\/+$/, "$1");

export const checkDestination = (target: string): string => {
  if (target === "") return refuse("field Target must not be empty");
  if (!isAbsolute(target)) {
    return refuse(`invalid mount path: '${target}' mount path must be absolute`);
  }
  const path = normalizeDestination(target);
  return path === "/" ? refuse("invalid specification: destination can't be '/'") : path;
};

const mustNotHave = (field: string, value: unknown): void => {
  if (value !== undefined && value !== null) refuse(`field ${field} must not be specified`);
};

const bindWish = (mount: Mount, destination: string): BindWish => {
  const source = mount.Source ?? "";
  const options = mount.BindOptions;
  if (source === "") refuse("field Source must not be empty");
  const propagation = options?.Propagation || "rprivate";
  if (!PROPAGATIONS.has(propagation)) refuse(`invalid propagation mode: ${propagation}`);
  mustNotHave("VolumeOptions", mount.VolumeOptions);
  if (!isAbsolute(source)) {
    refuse(`invalid mount path: '${source}' mount path must be absolute`);
  }
  if (options?.ReadOnlyForceRecursive === true) {
    if (mount.ReadOnly !== true) refuse("mount must be read-only to use ReadOnlyForceRecursive");
    if (options.ReadOnlyNonRecursive === true) {
      refuse("ReadOnlyNonRecursive and ReadOnlyForceRecursive exclude each other");
    }
    if (!propagation.endsWith("private")) {
      refuse("ReadOnlyForceRecursive needs the propagation mode rprivate");
    }
  }
  return {
    type: "bind",
    destination,
    source: normalizeDestination(source),
    isReadOnly: mount.ReadOnly ?? false,
    mode: "",
    propagation,
    createsSource: options?.CreateMountpoint ?? false,
  };
};

const volumeWish = (mount: Mount, destination: string): VolumeWish => {
  mustNotHave("BindOptions", mount.BindOptions);
  const name = mount.Source || undefined;
  const options = mount.VolumeOptions;
  if (name === undefined && (options?.Subpath ?? "") !== "") {
    refuse("must not set Subpath when using anonymous volumes");
  }
  if (name === undefined && mount.ReadOnly === true) {
    refuse("must not set ReadOnly mode when using anonymous volumes");
  }
  checkSubpath(options?.Subpath);
  return {
    type: "volume",
    destination,
    name,
    driver: options?.DriverConfig?.Name || "local",
    driverOptions: options?.DriverConfig?.Options ?? {},
    labels: options?.Labels ?? {},
    isCopiedUp: !(options?.NoCopy ?? false),
    isReadOnly: mount.ReadOnly ?? false,
    mode: "",
  };
};

const checkSubpath = (subpath: string | undefined): void => {
  if (subpath === undefined || subpath === "") return;
  if (isAbsolute(subpath) || normalize(subpath).split("/")[0] === "..") {
    refuse("subpath must be a relative path within the volume");
  }
};

const wishOf = (mount: Mount): MountWish => {
  const destination = checkDestination(mount.Target ?? "");
  const isReadOnly = mount.ReadOnly ?? false;
  switch (mount.Type) {
    case "bind":
      return bindWish(mount, destination);
    case "volume":
      return volumeWish(mount, destination);
    case "tmpfs":
      mustNotHave("BindOptions", mount.BindOptions);
      mustNotHave("VolumeOptions", mount.VolumeOptions);
      if ((mount.Source ?? "") !== "") refuse("field Source must not be specified");
      return { type: "tmpfs", destination, isReadOnly, mode: "" };
    case "image":
      mustNotHave("BindOptions", mount.BindOptions);
      mustNotHave("VolumeOptions", mount.VolumeOptions);
      if ((mount.Source ?? "") === "") refuse("field Source must not be empty");
      checkSubpath(mount.ImageOptions?.Subpath);
      return {
        type: "image",
        destination,
        reference: mount.Source ?? "",
        isReadOnly: true,
        mode: "",
      };
    case "npipe":
    case "cluster":
      throw new NaruError("not_implemented", `mounts of type "${mount.Type}" are not supported`);
    default:
      return refuse("mount type unknown");
  }
};

/** An element of `HostConfig.Mounts`. Throws invalid_argument, not_implemented. */
export const parseMount = (mount: Mount): MountWish => {
  try {
    return wishOf(mount);
  } catch (thrown) {
    const error = toNaruError(thrown);
    if (error.code !== "invalid_argument") throw error;
    return refuse(`invalid mount config for type "${mount.Type}": ${error.message}`);
  }
};

/** An element of `HostConfig.Binds`: `[source:]destination[:mode]`. Throws invalid_argument. */
export const parseBind = (text: string, volumeDriver = ""): MountWish => {
  const invalid = `invalid volume specification: '${text}'`;
  const parts = text.split(":");
  const [first = "", second, mode = ""] = parts;
  if (first === "" || parts.length > 3) return refuse(invalid);
  if (parts.length === 2 && parseMountMode(second ?? "") !== undefined) return refuse(invalid);
  const parsed = parseMountMode(mode);
  if (parsed === undefined) return refuse(`invalid mode: ${mode}`);
  const source = second === undefined ? "" : first;
  const target = second ?? first;
  try {
    if (isAbsolute(source)) mustNotHave("VolumeOptions", parsed.isNoCopy ? mode : undefined);
    else mustNotHave("BindOptions", parsed.propagation);
    const mount: Mount = {
      Type: isAbsolute(source) ? "bind" : "volume",
      Source: source,
      Target: target,
    };
    const wish = parseMount(
      mount.Type === "bind"
        ? {
            ...mount,
            BindOptions: { Propagation: parsed.propagation ?? "rprivate", CreateMountpoint: true },
          }
        : {
            ...mount,
            VolumeOptions: { NoCopy: parsed.isNoCopy, DriverConfig: { Name: volumeDriver } },
          },
    );
    return { ...wish, isReadOnly: parsed.isReadOnly, mode };
  } catch (thrown) {
    return refuse(`${invalid}: ${toNaruError(thrown).message}`);
  }
};
