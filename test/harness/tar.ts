/** A small ustar writer and reader for fixtures (names up to 255 bytes, no PAX). */

export interface TarEntry {
  readonly name: string;
  readonly body?: string | Uint8Array;
  readonly type?: "file" | "dir" | "symlink" | "hardlink" | "char" | "fifo";
  readonly target?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Seconds since the epoch; default 2021-01-01. */
  readonly mtime?: number;
  readonly device?: readonly [major: number, minor: number];
}

const FLAGS = { file: "0", hardlink: "1", symlink: "2", char: "3", dir: "5", fifo: "6" } as const;

const octal = (value: number, width: number): string =>
  `${value.toString(8).padStart(width - 1, "0")}\0`;

const splitName = (name: string): readonly [prefix: string, rest: string] => {
  if (Buffer.byteLength(name) <= 100) return ["", name];
  const cut = name.indexOf("/", name.length - 101);
  return [name.slice(0, cut), name.slice(cut + 1)];
};

const header = (entry: TarEntry, sizeBytes: number): Buffer => {
  const type = entry.type ?? "file";
  const block = Buffer.alloc(512);
  const [prefix, rest] = splitName(type === "dir" ? `${entry.name}/` : entry.name);
  block.write(rest, 0);
  block.write(octal(entry.mode ?? (type === "dir" ? 0o755 : 0o644), 8), 100);
  block.write(octal(entry.uid ?? 0, 8), 108);
  block.write(octal(entry.gid ?? 0, 8), 116);
  block.write(octal(sizeBytes, 12), 124);
  block.write(octal(entry.mtime ?? 1_609_459_200, 12), 136);
  block.write("        ", 148);
  block.write(FLAGS[type], 156);
  block.write(entry.target ?? "", 157);
  block.write("ustar\0" + "00", 257);
  block.write(octal(entry.device?.[0] ?? 0, 8), 329);
  block.write(octal(entry.device?.[1] ?? 0, 8), 337);
  block.write(prefix, 345);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
};

/** The archive as bytes, with its two closing zero blocks. */
export const writeTar = (entries: readonly TarEntry[]): Buffer => {
  const parts: Buffer[] = [];
  for (const entry of entries) {
    const body = Buffer.from(entry.body ?? "");
    parts.push(header(entry, body.length), body);
    const rest = body.length % 512;
    if (rest > 0) parts.push(Buffer.alloc(512 - rest));
  }
  parts.push(Buffer.alloc(1024));
  return Buffer.concat(parts);
};

export interface ReadEntry {
  readonly name: string;
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly target: string;
  readonly body: Buffer;
}

const text = (block: Buffer, from: number, length: number): string => {
  const field = block.subarray(from, from + length);
  const end = field.indexOf(0);
  return field.subarray(0, end < 0 ? length : end).toString("utf8");
};

const paxRecords = (body: Buffer): Map<string, string> => {
  const records = new Map<string, string>();
  for (const line of body.toString("utf8").split("\n")) {
    const match = /^\d+ ([^=]+)=(.*)$/.exec(line);
    if (match) records.set(match[1] ?? "", match[2] ?? "");
  }
  return records;
};

/** The entries of an archive by name (leading `./` and trailing `/` removed). */
export const readTar = (bytes: Uint8Array): Map<string, ReadEntry> => {
  const data = Buffer.from(bytes);
  const entries = new Map<string, ReadEntry>();
  let pax = new Map<string, string>();
  for (let at = 0; at + 512 <= data.length;) {
    const block = data.subarray(at, at + 512);
    if (block[0] === 0) break;
    const size = Number(pax.get("size") ?? Number.parseInt(text(block, 124, 12), 8));
    const body = data.subarray(at + 512, at + 512 + size);
    at += 512 + Math.ceil(size / 512) * 512;
    const type = String.fromCharCode(block[156] ?? 0x30);
    if (type === "x") {
      pax = paxRecords(body);
      continue;
    }
    if (type === "g") continue;
    const prefix = text(block, 345, 155);
    const plain = text(block, 0, 100);
    const name = pax.get("path") ?? (prefix === "" ? plain : `${prefix}/${plain}`);
    const clean = name.replace(/^\.\//, "").replace(/\/$/, "");
    entries.set(clean, {
      name: clean,
      type,
      mode: Number.parseInt(text(block, 100, 8), 8),
      uid: Number.parseInt(text(block, 108, 8), 8),
      gid: Number.parseInt(text(block, 116, 8), 8),
      target: pax.get("linkpath") ?? text(block, 157, 100),
      body,
    });
    pax = new Map();
  }
  return entries;
};
