import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { type TarEntry, plainEntry } from "#lib/tar/entry.ts";
import { hasCode } from "#lib/errors.ts";
import { TarParser } from "#lib/tar/parser.ts";
import { formatPaxRecord } from "#lib/tar/pax.ts";
import { TarReader } from "#lib/tar/reader.ts";
import { TAR_END, tarHeader, tarPadding } from "#lib/tar/writer.ts";

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const fileEntry = (name: string, size: number): TarEntry => plainEntry(name, { size });

/** A header with its checksum made right again after `change`. */
const forged = (change: (block: Buffer) => void, size = 0): Buffer => {
  const block = Buffer.from(tarHeader(fileEntry("victim", size)));
  change(block);
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
};

const meta = (flag: string, body: Uint8Array): Buffer =>
  Buffer.concat([
    forged((block) => {
      block.write(flag, 156, "latin1");
      block.write(`${body.length.toString(8).padStart(11, "0")}\0`, 124, "latin1");
    }),
    body,
    tarPadding(body.length),
  ]);

const pax = (records: Record<string, string>, flag = "x"): Buffer =>
  meta(
    flag,
    Buffer.concat(Object.entries(records).map(([k, v]) => formatPaxRecord(k, Buffer.from(v)))),
  );

interface Seen {
  readonly entry: TarEntry;
  readonly content: string;
}

const parse = (archive: Uint8Array, step = archive.length): Seen[] => {
  const seen: { entry: TarEntry; content: Buffer }[] = [];
  const parser = new TarParser({
    entry: (entry) => seen.push({ entry, content: Buffer.alloc(entry.size) }),
    data: (bytes, offset) => seen.at(-1)?.content.set(bytes, offset),
    entryEnd: () => undefined,
  });
  for (let at = 0; at < archive.length; at += step) parser.push(archive.subarray(at, at + step));
  parser.end();
  return seen.map(({ entry, content }) => ({ entry, content: content.toString("latin1") }));
};

const good = Buffer.concat([
  tarHeader(fileEntry("a", 5)),
  Buffer.from("hello"),
  tarPadding(5),
  tarHeader(fileEntry(`${"b".repeat(300)}`, 600)),
  Buffer.alloc(600, "x"),
  tarPadding(600),
  TAR_END,
]);

test("any cutting into chunks gives the same entries", () => {
  const whole = parse(good);
  expect(whole.map((seen) => seen.content.length)).toEqual([5, 600]);
  for (const step of [1, 7, 100, 511, 512, 513, 1000]) expect(parse(good, step)).toEqual(whole);
});

test("bytes behind the end are ignored, an archive without an end is forgiven", () => {
  expect(parse(Buffer.concat([good, Buffer.alloc(700, "z")])).length).toBe(2);
  expect(parse(good.subarray(0, good.length - 1024)).length).toBe(2);
  expect(parse(Buffer.alloc(0))).toEqual([]);
});

test("data offsets point into the archive", () => {
  const offsets: number[] = [];
  const parser = new TarParser({
    entry: (_, dataOffset) => offsets.push(dataOffset),
    data: () => undefined,
    entryEnd: () => undefined,
  });
  for (let at = 0; at < good.length; at += 100) parser.push(good.subarray(at, at + 100));
  expect(good.toString("latin1", offsets[0], (offsets[0] ?? 0) + 5)).toBe("hello");
  expect(good.toString("latin1", offsets[1], (offsets[1] ?? 0) + 3)).toBe("xxx");
});

test("global headers hold for all files, local ones win", () => {
  const archive = Buffer.concat([
    pax({ uid: "7", mtime: "1.5" }, "g"),
    tarHeader(fileEntry("one", 0)),
    pax({ uid: "8", comment: "is ignored" }),
    tarHeader(fileEntry("two", 0)),
  ]);
  expect(parse(archive).map((seen) => [seen.entry.uid, seen.entry.mtime.nanoseconds])).toEqual([
    [7, 500_000_000],
    [8, 500_000_000],
  ]);
});

test("GNU long names and links", () => {
  const [long, target] = [`${"l".repeat(150)}/x`, "t".repeat(150)];
  const archive = Buffer.concat([
    meta("L", Buffer.from(`${long}\0`)),
    meta("K", Buffer.from(`${target}\0`)),
    forged((block) => block.write("2", 156)),
  ]);
  const entry = parse(archive)[0]!.entry;
  expect([entry.name, entry.linkName]).toEqual([long, target]);
});

test("old archives say directory by a closing slash", () => {
  const block = forged((b) => {
    b.fill(0, 0, 100).write("old/dir/");
    b[156] = 0;
    b.fill(0, 257);
  });
  expect(parse(block)[0]!.entry.type).toBe("directory");
});

const bad: readonly (readonly [string, Buffer, RegExp])[] = [
  ["no archive at all", Buffer.alloc(1024, "text"), /not a tar archive/],
  [
    "wrong checksum",
    Buffer.concat([good.subarray(0, 1024), Buffer.alloc(512, 1)]),
    /"a" is followed/,
  ],
  ["cut in the content", good.subarray(0, 700 + 1024), /cut short/],
  ["cut in a header", good.subarray(0, 100), /cut short/],
  ["extended header without its file", pax({ path: "x" }), /cut short/],
  ["negative size", forged((b) => b.fill(0xff, 124, 136)), /negative size/],
  [
    "size over 2^53",
    forged((b) => b.fill(0x7f, 124, 136).writeUInt8(0x80, 124)),
    /unreadable size/,
  ],
  ["size in letters", forged((b) => b.write("1234567890a", 124)), /unreadable size/],
  ["pax size in letters", Buffer.concat([pax({ size: "12x" }), forged(() => undefined)]), /"12x"/],
  ["pax size negative", Buffer.concat([pax({ size: "-1" }), forged(() => undefined)]), /"-1"/],
  [
    "owner over 32 bits",
    Buffer.concat([pax({ uid: "4294967295" }), forged(() => undefined)]),
    /owner/,
  ],
  ["negative owner", forged((b) => b.fill(0xff, 108, 116)), /owner/],
  ["damaged pax length", Buffer.concat([meta("x", Buffer.from("99 a=b\n")), good]), /damaged pax/],
  [
    "pax length without blank",
    Buffer.concat([meta("x", Buffer.from("aaaaaaaaa")), good]),
    /damaged pax/,
  ],
  ["pax length 0", Buffer.concat([meta("x", Buffer.from("0 a=b\n")), good]), /damaged pax/],
  [
    "pax without value",
    Buffer.concat([meta("x", Buffer.from("6 abc\n")), good]),
    /without a value/,
  ],
  ["pax path with NUL", Buffer.concat([pax({ path: "a\0b" }), forged(() => undefined)]), /NUL/],
  ["pax time nonsense", Buffer.concat([pax({ mtime: "noon" }), forged(() => undefined)]), /"noon"/],
  ["pax bomb", meta("x", Buffer.alloc(1024 * 1024 + 1, "a")), /more than 1048576/],
  ["long name bomb", meta("L", Buffer.alloc(1024 * 1024 + 1, "a")), /more than 1048576/],
  ["global path", Buffer.concat([pax({ path: "everything" }, "g"), good]), /global header/],
  [
    "global header bomb",
    Buffer.concat([1, 2, 3].map((n) => pax({ [`k${n}`]: "v".repeat(500_000) }, "g"))),
    /over 1048576/,
  ],
  ["unknown type", forged((b) => b.write("M", 156)), /not supported/],
  ["lone zero block", Buffer.concat([Buffer.alloc(512), good]), /lone block/],
  [
    "sparse map that overlaps",
    Buffer.concat([
      pax({ "GNU.sparse.map": "0,10,5,10", "GNU.sparse.size": "100" }),
      forged(() => undefined, 20),
      Buffer.alloc(512),
    ]),
    /overlaps/,
  ],
  [
    "sparse map beyond the file",
    Buffer.concat([
      pax({ "GNU.sparse.map": "95,10", "GNU.sparse.size": "100" }),
      forged(() => undefined, 10),
    ]),
    /leaves the file/,
  ],
  [
    "sparse map of another length",
    Buffer.concat([
      pax({ "GNU.sparse.map": "0,5", "GNU.sparse.size": "100" }),
      forged(() => undefined, 10),
    ]),
    /does not match/,
  ],
  [
    "sparse map longer than its data",
    Buffer.concat([
      pax({ "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9" }),
      forged(() => undefined, 512),
      Buffer.from("60000\n1\n".padEnd(512, "2")),
      Buffer.alloc(512, "3"),
    ]),
    /sparse map/,
  ],
  [
    "unknown sparse format",
    Buffer.concat([
      pax({ "GNU.sparse.major": "2", "GNU.sparse.minor": "0" }),
      forged(() => undefined),
    ]),
    /unknown sparse format/,
  ],
];

for (const [name, archive, message] of bad) {
  test(`refused: ${name}`, () => {
    let thrown: unknown;
    try {
      parse(archive);
    } catch (error) {
      thrown = error;
    }
    expect(String(thrown)).toMatch(message);
    expect(hasCode(thrown, "invalid_argument")).toBe(true);
  });
}

const gnuTar = async (
  script: string,
  use: (archive: Uint8Array) => Promise<void>,
): Promise<void> => {
  const directory = mkdtempSync("/tmp/naru-tar-");
  try {
    const child = Bun.spawn(["sh", "-ec", script], { cwd: directory, stdout: "pipe" });
    await use(await child.stdout.bytes());
    expect(await child.exited).toBe(0);
  } finally {
    rmSync(directory, { recursive: true });
  }
};

const SPARSE = `printf start > s; truncate -s 1M s; printf end >> s
  i=0; while [ $i -lt 60 ]; do printf x | dd of=many bs=1 seek=$((i * 16384)) conv=notrunc status=none; i=$((i+1)); done
  truncate -s 2M empty;`;
for (const format of [
  "--format=gnu",
  "--format=pax --sparse-version=0.0",
  "--format=pax --sparse-version=0.1",
  "--format=pax --sparse-version=1.0",
]) {
  test(`GNU tar's sparse files: ${format}`, async () => {
    await gnuTar(`${SPARSE} tar -c --sparse ${format} s many empty`, async (archive) => {
      expect(archive.length).toBeLessThan(600_000);
      const seen = parse(archive, 1000);
      expect(seen.map((s) => [s.entry.name, s.entry.size])).toEqual([
        ["s", 1024 * 1024 + 3],
        ["many", 59 * 16384 + 1],
        ["empty", 2 * 1024 * 1024],
      ]);
      expect(seen.every((s) => s.entry.regions !== undefined)).toBe(true);
      expect(seen[0]!.content.startsWith("start\0")).toBe(true);
      expect(seen[0]!.content.endsWith("\0end")).toBe(true);
      const many = seen[1]!.content;
      for (let i = 0; i < 60; i++) expect(many[i * 16384]).toBe("x");
      expect(many.replaceAll("\0", "")).toBe("x".repeat(60));
      // The async reader fills the holes.
      for await (const file of new TarReader(once(archive))) {
        if (file.entry.name === "many") {
          expect(Buffer.from(await file.bytes(1 << 21)).toString("latin1")).toBe(many);
        }
      }
    });
  });
}

for (const format of ["v7", "ustar", "gnu", "pax", "oldgnu"]) {
  test(`GNU tar's ${format} archives`, async () => {
    const long =
      format === "v7" || format === "ustar"
        ? "d/e"
        : `$(printf 'd%.0s' $(seq 90))/${"$(printf 'e%.0s' $(seq 60))"}`;
    const script = `mkdir -p ${long}; printf content > ${long}/f; ln ${long}/f ${long}/h
      ln -s /absolute ${long}/s; touch -d @1234567.5 ${long}/f; tar -c --format=${format} --sort=name ${long}`;
    await gnuTar(script, async (archive) => {
      const seen = parse(archive, 777);
      expect(seen.map((s) => s.entry.type)).toEqual(["directory", "file", "hard link", "symlink"]);
      expect(seen[1]!.content).toBe("content");
      expect(seen[1]!.entry.mtime).toEqual({
        seconds: 1234567,
        nanoseconds: format === "pax" ? 500_000_000 : 0,
      });
      expect(seen[2]!.entry.linkName).toBe(seen[1]!.entry.name);
      expect(seen[3]!.entry.linkName).toBe("/absolute");
    });
  });
}

test("the async reader skips what is not read and closes its source", async () => {
  let isClosed = false;
  const source = async function* (): AsyncGenerator<Uint8Array> {
    try {
      for (let at = 0; at < good.length; at += 300) yield good.subarray(at, at + 300);
    } finally {
      isClosed = true;
    }
  };
  const names: string[] = [];
  for await (const file of new TarReader(source())) names.push(file.entry.name.slice(0, 2));
  expect(names).toEqual(["a", "bb"]);
  for await (const file of new TarReader(source())) {
    expect(file.bytes(4)).rejects.toThrow("more than 4");
    break;
  }
  expect(isClosed).toBe(true);
});
