import { expect, test } from "bun:test";
import { NO_XATTRS, type TarEntry } from "#lib/tar/entry.ts";
import { TarReader } from "#lib/tar/reader.ts";
import { TAR_END, tarHeader, tarPadding } from "#lib/tar/writer.ts";

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const plain: TarEntry = {
  type: "file",
  name: "bin/busybox",
  linkName: "",
  mode: 0o4755,
  uid: 0,
  gid: 42,
  userName: "",
  groupName: "shadow",
  size: 5,
  mtime: { seconds: 1_700_000_000, nanoseconds: 0 },
  deviceMajor: 0,
  deviceMinor: 0,
  xattrs: NO_XATTRS,
};

const readBack = async (entry: TarEntry, content = ""): Promise<TarEntry> => {
  const archive = Buffer.concat([
    tarHeader(entry),
    Buffer.from(content),
    tarPadding(content.length),
    TAR_END,
  ]);
  for await (const file of new TarReader(once(archive))) {
    expect((await file.bytes(1 << 20)).toString()).toBe(Buffer.from(content).toString());
    return file.entry;
  }
  throw new Error("no entry");
};

test("a plain entry is one ustar block, byte for byte", () => {
  const block = Buffer.from(tarHeader(plain));
  expect(block.length).toBe(512);
  expect(block.toString("latin1").replaceAll("\0", ".")).toBe(
    `bin/busybox${".".repeat(89)}0004755.0000000.0000052.00000000005.14524770400.012654. 0${".".repeat(100)}` +
      `ustar.00${".".repeat(32)}shadow${".".repeat(26)}0000000.0000000.${".".repeat(167)}`,
  );
});

const cases: readonly (readonly [string, Partial<TarEntry>])[] = [
  ["name of 100 bytes", { name: "n".repeat(100) }],
  ["name that fits by the prefix", { name: `${"d".repeat(150)}/${"n".repeat(99)}` }],
  ["name that fits no field", { name: `${"d".repeat(300)}/${"n".repeat(200)}` }],
  ["name without a slash in reach", { name: "x".repeat(200) }],
  ["name in UTF-8", { name: "나루/naïve.txt" }],
  ["long name in UTF-8", { name: `${"나".repeat(100)}/ü` }],
  ["name that is not UTF-8", { name: "f\udcff\udcfe.txt" }],
  ["long name that is not UTF-8", { name: `${"a".repeat(300)}\udcff` }],
  ["long symlink", { type: "symlink", linkName: `/${"t".repeat(400)}`, size: 0 }],
  ["hard link", { type: "hard link", linkName: "bin/sh", size: 0 }],
  ["big owner ids", { uid: 4_000_000_000, gid: 3_000_000 }],
  ["time with nanoseconds", { mtime: { seconds: 12, nanoseconds: 120_000_001 } }],
  ["time before the epoch", { mtime: { seconds: -3, nanoseconds: 500_000_000 } }],
  ["whole second before the epoch", { mtime: { seconds: -1, nanoseconds: 0 } }],
  ["block device", { type: "block device", deviceMajor: 259, deviceMinor: 1_048_575, size: 0 }],
  ["directory", { type: "directory", name: "etc/", size: 0 }],
  ["fifo", { type: "fifo", size: 0 }],
  [
    "extended attributes, binary and with odd names",
    {
      xattrs: new Map([
        ["security.capability", Uint8Array.of(1, 0, 0, 2, 0x3d, 0x0a, 0xff, 0)],
        ["user.a=b%", new Uint8Array()],
      ]),
    },
  ],
  ["long owner name", { userName: "u".repeat(60) }],
];

for (const [name, change] of cases) {
  test(`round trip: ${name}`, async () => {
    const entry = { ...plain, ...change };
    const content = entry.type === "file" ? "hello" : "";
    const back = await readBack(entry, content);
    expect({
      ...back,
      xattrs: [...back.xattrs].map(([k, v]) => [k, Buffer.from(v).toString("hex")]),
    }).toEqual({
      ...entry,
      xattrs: [...entry.xattrs].map(([k, v]) => [k, Buffer.from(v).toString("hex")]),
    } as never);
    expect(Buffer.from(tarHeader(entry)).equals(Buffer.from(tarHeader({ ...entry })))).toBe(true);
  });
}

test("the length of a pax record counts its own digits", () => {
  for (let length = 80; length < 120; length++) {
    const header = Buffer.from(tarHeader({ ...plain, name: "n".repeat(length + 100) }));
    const record = header.subarray(512).toString("latin1");
    const stated = Number.parseInt(record, 10);
    expect(record[stated - 1]).toBe("\n");
  }
});

test("a name with a NUL is refused", () => {
  expect(() => tarHeader({ ...plain, name: "a\0b" })).toThrow("no archive can hold");
});
