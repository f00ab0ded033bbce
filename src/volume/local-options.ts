/** Options of the local driver: `type`, `device`, `o`, as mount(8) takes them. Pure. */
import { NaruError } from "#lib/errors.ts";
import type { MountFlag } from "#kernel/kernel.ts";

export interface LocalMount {
  readonly device: string;
  readonly type: string;
  readonly flags: readonly MountFlag[];
  /** What is no flag goes to the file system. */
  readonly data: string;
}

const KNOWN = new Set(["type", "o", "device"]);

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

/** Throws invalid_argument in Docker's words. */
export const validateLocalOptions = (options: Readonly<Record<string, string>>): void => {
  for (const key of Object.keys(options)) {
    if (key === "size") {
      throw new NaruError(
        "not_implemented",
        'quota size requested but no quota support: option "size" is not supported, use type=tmpfs with o=size=…',
      );
    }
    if (!KNOWN.has(key)) throw new NaruError("invalid_argument", `invalid option: "${key}"`);
  }
  const { type, device, o } = options;
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
