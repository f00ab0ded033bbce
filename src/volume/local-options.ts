/** Options of the local driver: `type`, `device`, `o`, as mount(8) takes them. Pure. */
import { NaruError } from "#lib/errors.ts";
import type { MountFlag } from "#kernel/kernel.ts";
import { parseBytes } from "#spec/docker/bytes.ts";

export interface LocalMount {
  readonly device: string;
  readonly type: string;
  readonly flags: readonly MountFlag[];
  /** What is no flag goes to the file system. */
  readonly data: string;
}

const KNOWN = new Set(["type", "o", "device", "size"]);

/** mount(8)'s words for flags; those that only undo a default stand for nothing. */
const FLAGS: Readonly<Record<string, readonly MountFlag[]>> = {
  defaults: [],
  rw: [],
  suid: [],
  dev: [],
  exec: [],
  async: [],
  atime: [],
  ro: ["ro"],
  nosuid: ["nosuid"],
  nodev: ["nodev"],
  noexec: ["noexec"],
  noatime: ["noatime"],
  nodiratime: ["nodiratime"],
  strictatime: ["strictatime"],
  sync: ["sync"],
  dirsync: ["dirsync"],
  diratime: [],
  relatime: ["relatime"],
  silent: ["silent"],
  bind: ["bind"],
  rbind: ["bind", "rec"],
  private: ["private"],
  rprivate: ["private", "rec"],
  slave: ["slave"],
  rslave: ["slave", "rec"],
  shared: ["shared"],
  rshared: ["shared", "rec"],
};

/** How much a volume may hold, in bytes ("10G" is binary, as in Docker); undefined: as much as fits. */
export const sizeLimit = (options: Readonly<Record<string, string>>): number | undefined => {
  const sizeBytes = parseBytes(options["size"] ?? "0");
  return sizeBytes === 0 ? undefined : sizeBytes;
};

/** Throws invalid_argument in Docker's words. */
export const validateLocalOptions = (options: Readonly<Record<string, string>>): void => {
  for (const key of Object.keys(options)) {
    if (!KNOWN.has(key)) throw new NaruError("invalid_argument", `invalid option: "${key}"`);
  }
  const { type, device, o } = options;
  if (sizeLimit(options) !== undefined && type !== undefined) {
    throw new NaruError(
      "invalid_argument",
      'option "size" limits a plain directory: with a type of its own, give the size in "o" (o=size=…)',
    );
  }
  const missing =
    device === undefined && (type !== undefined || o !== undefined)
      ? "device"
      : type === undefined && (device !== undefined || o !== undefined)
        ? "type"
        : undefined;
  if (missing !== undefined) {
    throw new NaruError("invalid_argument", `missing required option: "${missing}"`);
  }
};

/** The words of `data` that name a host, which the kernel takes as an address only. */
const HOST_WORDS: Readonly<Record<string, string>> = {
  nfs: "addr",
  nfs4: "addr",
  cifs: "addr",
  smb3: "addr",
};

/**
 * The host in `data` of a network file system, when it is a name: mount(2) takes addresses only, what turns
 * names into them is mount.nfs(8). undefined when there is nothing to look up.
 */
export const hostToLookUp = ({ type, data }: LocalMount): string | undefined => {
  const key = HOST_WORDS[type];
  if (key === undefined) return undefined;
  const host = new RegExp(`(?:^|,)${key}=([^,]+)`).exec(data)?.[1];
  return host === undefined || /^[\d.]+$|:/.test(host) ? undefined : host;
};

/** With `address` in place of the host's name. */
export const withAddress = (mount: LocalMount, address: string): LocalMount => {
  const key = HOST_WORDS[mount.type] ?? "addr";
  const pattern = new RegExp(`(^|,)${key}=[^,]+`);
  return { ...mount, data: mount.data.replace(pattern, `$1${key}=${address}`) };
};

/** What may be shown to others: mount.cifs(8) takes passwords among the options. */
export const withoutPassword = (data: string): string =>
  data.replaceAll(/(^|,)(pass(?:word)?2?)=[^,]*/g, "$1$2=********");

const PER_MOUNT: ReadonlySet<MountFlag> = new Set<MountFlag>([
  "ro",
  "nosuid",
  "nodev",
  "noexec",
  "noatime",
  "nodiratime",
]);

/** The flags that hold for one mount rather than for the file system: each bind of it has its own. */
export const mountFlags = (options: Readonly<Record<string, string>>): readonly MountFlag[] =>
  (parseLocalMount(options)?.flags ?? []).filter((flag) => PER_MOUNT.has(flag));

/** undefined for a plain directory. */
export const parseLocalMount = (
  options: Readonly<Record<string, string>>,
): LocalMount | undefined => {
  const { type, device, o } = options;
  if (type === undefined || device === undefined) return undefined;
  const words = (o ?? "").split(",").filter((word) => word !== "");
  const flags = words.flatMap((word) => FLAGS[word] ?? []);
  const data = words.filter((word) => !(word in FLAGS)).join(",");
  return { device, type, flags: [...new Set(flags)], data };
};
