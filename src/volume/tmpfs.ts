/** Options of tmpfs mounts: --tmpfs's text and --mount's fields, as mount options (tmpfs(5)). Pure. */
import { NaruError } from "#lib/errors.ts";
import type { TmpfsOptions } from "#spec/docker/host-config.ts";

/** Each pair excludes the other; the later word wins. */
const FLAG_PAIRS: Readonly<Record<string, string>> = {
  ro: "rw",
  rw: "ro",
  exec: "noexec",
  noexec: "exec",
  suid: "nosuid",
  nosuid: "suid",
  dev: "nodev",
  nodev: "dev",
  sync: "async",
  async: "sync",
  atime: "noatime",
  noatime: "atime",
  diratime: "nodiratime",
  nodiratime: "diratime",
  relatime: "norelatime",
  norelatime: "relatime",
  strictatime: "nostrictatime",
  nostrictatime: "strictatime",
};

/** Settings that tmpfs itself knows, with whether a value follows. */
const SETTINGS = new Set(["size", "nr_blocks", "nr_inodes", "mode", "uid", "gid", "mpol", "huge"]);

const DEFAULTS = ["noexec", "nosuid", "nodev"];

/** Later words replace earlier ones of the same meaning. Throws invalid_argument. */
const merge = (words: readonly string[]): string[] => {
  const chosen = new Map<string, string>();
  for (const word of words) {
    const name = word.split("=")[0] ?? "";
    const opposite = FLAG_PAIRS[word];
    if (opposite !== undefined) {
      chosen.delete(opposite);
      chosen.set(word, word);
    } else if (SETTINGS.has(name) && word.length > name.length + 1) {
      chosen.set(name, word);
    } else if (word !== "") {
      throw new NaruError("invalid_argument", `Invalid tmpfs option "${word}"`);
    }
  }
  return [...chosen.values()];
};

/** `--tmpfs /x:size=64m,exec`. */
export const tmpfsOptionsOfText = (text: string): string[] =>
  merge([...DEFAULTS, ...text.split(",").map((word) => word.trim())]);

/** `--mount type=tmpfs`. */
export const tmpfsOptionsOfMount = (
  options: TmpfsOptions | undefined,
  isReadOnly: boolean,
): string[] =>
  merge([
    ...DEFAULTS,
    ...(options?.SizeBytes ? [`size=${options.SizeBytes}`] : []),
    ...(options?.Mode ? [`mode=${options.Mode.toString(8)}`] : []),
    ...(options?.Options ?? []).map((pair) => pair.join("=")),
    ...(isReadOnly ? ["ro"] : []),
  ]);
