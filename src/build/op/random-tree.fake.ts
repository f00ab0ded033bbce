/** Trees by chance, the same for the same seed: what copies and layers can hold, and what they stumble over. */
import {
  chmodSync,
  ftruncateSync,
  closeSync,
  linkSync,
  lchownSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import type { Kernel } from "#kernel/kernel.ts";
import { encodeName } from "#lib/tar/name-bytes.ts";
import { splitPath } from "#snapshot/directory-cache.ts";
import { DIRECTORY_FLAGS } from "#snapshot/tree-walk.ts";
import { S_IFBLK, S_IFCHR, S_IFIFO, S_IFSOCK } from "#snapshot/whiteout.ts";

/** Numbers that only the seed decides (mulberry32). */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed, 0x9e3779b1) >>> 0;
  }

  /** 0 to `count` - 1. */
  below(count: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % count;
  }

  /** True once in `count`. */
  once(count: number): boolean {
    return this.below(count) === 0;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }
}

/** Few, so that the source's often meet those below. "\udc80" is the byte 0x80 (lib/tar/name-bytes.ts). */
const NAMES: readonly string[] = [
  "a",
  "b",
  "c",
  "d",
  "e",
  "a b",
  "a-b",
  "a.b",
  "Ünï",
  "한글",
  "\u{1f600}",
  "\uff5e",
  "bad\udcff\udc80",
  "..x",
  "line\nbreak",
  `${"l".repeat(90)}1`,
  "m".repeat(160),
  "한".repeat(85),
];
/** What layers mean by such names is not what a source means: files. */
const MARKS: readonly string[] = [".wh.a", ".wh.b", ".wh..wh..opq"];
const SIZES = [0, 0, 1, 5, 511, 512, 513, 4096, 9000, 262_144 - 512, 262_145];
const OWNERS = [0, 0, 0, 5, 1000, 65_534, 2_097_151, 2_097_152, 4_294_967_294];
const FILE_MODES = [0o644, 0o600, 0o755, 0o4755, 0o2711, 0o1644, 0, 0o444, 0o7777];
const TREE_MODES = [0o755, 0o755, 0o700, 0o1777, 0o2755, 0o3770, 0, 0o555];
const LINKS = ["a", "b/c", "nowhere", "../a", "/a", "/", ".", "x".repeat(120), "bad\udcfe"];
const DEVICES = [S_IFIFO, S_IFCHR, S_IFBLK, S_IFSOCK];
const ACCESS_LIST = Buffer.from(
  "0200000001000700ffffffff02000500e803000004000500ffffffff10000500ffffffff20000500ffffffff",
  "hex",
);
const CAPABILITY = Buffer.from("0100000200040000000000000000000000000000", "hex");

export interface TreeOptions {
  readonly entries: number;
  /** Extended ones that files may have: none, what a context brings, or the system's own as well. */
  readonly attributes: "none" | "user" | "system";
  /** Whether there may be names and devices that mean a deletion in a layer. */
  readonly hasMarks: boolean;
}

export interface RandomTree {
  /** Each directory before its content. */
  readonly directories: string[];
  readonly others: string[];
}

class TreeMaker {
  readonly #kernel: Kernel;
  readonly #dice: Dice;
  readonly #root: string;
  readonly #options: TreeOptions;
  readonly made: RandomTree = { directories: [""], others: [] };
  readonly #linkable: string[] = [];

  constructor(kernel: Kernel, dice: Dice, root: string, options: TreeOptions) {
    this.#kernel = kernel;
    this.#dice = dice;
    this.#root = root;
    this.#options = options;
  }

  run(): void {
    mkdirSync(this.#root, { recursive: true });
    const taken = new Set<string>();
    const { hasMarks } = this.#options;
    for (let count = 0; count < this.#options.entries; count++) {
      const recent = this.made.directories.slice(-3);
      const parent = this.#dice.pick(this.#dice.once(2) ? recent : this.made.directories);
      const name = this.#dice.pick(hasMarks && this.#dice.once(6) ? MARKS : NAMES);
      const path = parent === "" ? name : `${parent}/${name}`;
      if (taken.has(path) || path.length > 900) continue;
      taken.add(path);
      if (this.#dice.below(5) < 2) this.#directory(path);
      else this.#other(path);
    }
    for (const path of [...this.made.others, ...this.made.directories.toReversed()]) {
      this.#setTime(path);
    }
  }

  #bytes(path: string): Buffer {
    return Buffer.from(encodeName(`${this.#root}/${path}`));
  }

  #directory(path: string): void {
    mkdirSync(this.#bytes(path));
    this.made.directories.push(path);
    this.#attributes(path, TREE_MODES);
  }

  #other(path: string): void {
    const dice = this.#dice;
    this.made.others.push(path);
    if (dice.once(6) && this.#linkable.length > 0) {
      linkSync(this.#bytes(dice.pick(this.#linkable)), this.#bytes(path));
    } else if (dice.once(6)) {
      symlinkSync(Buffer.from(encodeName(dice.pick(LINKS))), this.#bytes(path));
      this.#own(path);
      if (dice.once(3)) this.#linkable.push(path);
    } else if (dice.once(10)) {
      this.#device(path);
      this.#attributes(path, FILE_MODES);
      if (dice.once(3)) this.#linkable.push(path);
    } else {
      this.#file(path);
      this.#attributes(path, FILE_MODES);
      if (dice.once(3)) this.#linkable.push(path);
    }
  }

  #file(path: string): void {
    const fd = openSync(this.#bytes(path), "wx");
    const size = this.#dice.pick(SIZES);
    if (this.#dice.once(6)) {
      ftruncateSync(fd, size + 20_000);
      writeSync(fd, "end", size + 9000);
    } else if (size > 0) {
      writeSync(fd, Buffer.alloc(size, `${path}:${this.#dice.below(9)}`));
    }
    closeSync(fd);
  }

  #device(path: string): void {
    const type = this.#dice.pick(DEVICES);
    const numbers = [
      [1, 3],
      [7, 300],
      [4000, 5],
    ] as const;
    const [major, minor] = this.#options.hasMarks ? [0, 0] : this.#dice.pick(numbers);
    const isDevice = type === S_IFCHR || type === S_IFBLK;
    this.#at(path, (fd, name) =>
      this.#kernel.mknodAt(fd, name, type | 0o600, isDevice ? major : 0, isDevice ? minor : 0),
    );
  }

  #own(path: string): void {
    lchownSync(this.#bytes(path), this.#dice.pick(OWNERS), this.#dice.pick(OWNERS));
  }

  #attributes(path: string, modes: readonly number[]): void {
    const dice = this.#dice;
    this.#own(path);
    chmodSync(this.#bytes(path), dice.pick(modes));
    const isTree = modes === TREE_MODES;
    const isFile = !isTree && this.#isFile(path);
    if (this.#options.attributes === "none") return;
    this.#at(path, (fd, name) => {
      const file = `${this.#kernel.fdPath(fd)}/${name}`;
      const set = (key: string, value: string | Buffer): void =>
        this.#kernel.setXattr(file, key, Buffer.from(value));
      if ((isTree || isFile) && dice.once(5)) set("user.note", dice.pick(["", "n", "é\n=\0"]));
      if ((isTree || isFile) && dice.once(12)) set("user.Über=", "v".repeat(300));
      if (isFile && dice.once(10)) set("security.capability", CAPABILITY);
      if (this.#options.attributes !== "system") return;
      if (dice.once(8)) set("trusted.own", "t");
      if (isTree && dice.once(30)) set("system.posix_acl_default", ACCESS_LIST);
      if ((isTree || isFile) && dice.once(20)) set("system.posix_acl_access", ACCESS_LIST);
    });
  }

  #isFile(path: string): boolean {
    let isFile = false;
    this.#at(path, (fd, name) => {
      isFile = (this.#kernel.statAt(fd, name).mode & 0o170000) === 0o100000;
    });
    return isFile;
  }

  #setTime(path: string): void {
    if (path === "") return;
    const { below, once } = {
      below: this.#dice.below.bind(this.#dice),
      once: this.#dice.once.bind(this.#dice),
    };
    const seconds = once(12) ? -below(9) : 1_300_000_000 + below(200_000_000);
    const time = { seconds, nanoseconds: once(2) ? 0 : below(1_000_000_000) };
    this.#at(path, (fd, name) => this.#kernel.setTimesAt(fd, name, time, time));
  }

  #at(path: string, use: (fd: number, name: string) => void): void {
    const [parent, name] = splitPath(path);
    const fd = this.#kernel.openInRoot(this.#root, parent || ".", DIRECTORY_FLAGS);
    try {
      use(fd, name);
    } finally {
      this.#kernel.close(fd);
    }
  }
}

/** Makes the directory `root` and what is in it. */
export const randomTree = (
  kernel: Kernel,
  dice: Dice,
  root: string,
  options: TreeOptions,
): RandomTree => {
  const maker = new TreeMaker(kernel, dice, root, options);
  maker.run();
  return maker.made;
};
