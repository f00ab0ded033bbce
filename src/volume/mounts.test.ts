import { expect, test } from "bun:test";
import type { MountPoint } from "#spec/docker/container.ts";
import type { Mount } from "#spec/docker/host-config.ts";
import { parseMountMode, parseVolumesFrom } from "#volume/mount-mode.ts";
import { parseBind, parseMount } from "#volume/mount-spec.ts";
import { type MountsInput, resolveMounts } from "#volume/mounts.ts";
import { tmpfsOptionsOfMount, tmpfsOptionsOfText } from "#volume/tmpfs.ts";

test("a mode has one word of each kind", () => {
  expect(parseMountMode("ro,z,rslave,nocopy")).toEqual({
    isReadOnly: true,
    propagation: "rslave",
    isNoCopy: true,
  });
  for (const wrong of ["rw,ro", "z,Z", "shared,private", "x", "ro,", ",ro"]) {
    expect(parseMountMode(wrong)).toBeUndefined();
  }
});

test("-v of a directory and of a volume", () => {
  expect(parseBind("/a/:/b//c/:ro,rshared")).toEqual({
    type: "bind",
    source: "/a",
    destination: "/b/c",
    isReadOnly: true,
    mode: "ro,rshared",
    propagation: "rshared",
    createsSource: true,
  });
  expect(parseBind("data:/b")).toMatchObject({ type: "volume", name: "data", isCopiedUp: true });
  expect(parseBind("data:/b:nocopy")).toMatchObject({ isCopiedUp: false, mode: "nocopy" });
  expect(parseBind("/b")).toMatchObject({ type: "volume", name: undefined, destination: "/b" });
});

test.each([
  ["", "invalid volume specification: ''"],
  [":/a", "invalid volume specification: ':/a'"],
  ["a:/b:ro:x", "invalid volume specification: 'a:/b:ro:x'"],
  ["/a:ro", "invalid volume specification: '/a:ro'"],
  ["/a:/b:x", "invalid mode: x"],
  ["/a:b", "invalid mount path: 'b' mount path must be absolute"],
  ["/a:/", "invalid specification: destination can't be '/'"],
  ["/a:/..", "invalid specification: destination can't be '/'"],
])("-v %p is refused: %s", (text, message) => {
  expect(() => parseBind(text)).toThrow(message);
});

test.each<[Mount, string]>([
  [{ Type: "bind", Target: "/x" }, "field Source must not be empty"],
  [{ Type: "bind", Source: "a", Target: "/x" }, "mount path must be absolute"],
  [{ Type: "bind", Source: "/a", Target: "/x", VolumeOptions: {} }, "field VolumeOptions must not"],
  [{ Type: "volume", Source: "a", Target: "" }, "field Target must not be empty"],
  [{ Type: "volume", Target: "/x", ReadOnly: true }, "anonymous volumes"],
  [{ Type: "volume", Target: "/x", VolumeOptions: { Subpath: "a" } }, "anonymous volumes"],
  [
    { Type: "volume", Source: "v", Target: "/x", VolumeOptions: { Subpath: "../a" } },
    "subpath must be a relative path within the volume",
  ],
  [{ Type: "tmpfs", Source: "a", Target: "/x" }, "field Source must not be specified"],
  [{ Type: "npipe", Source: "a", Target: "/x" }, '"npipe" are not supported'],
  [{ Type: "zoo" as "bind", Target: "/x" }, 'for type "zoo": mount type unknown'],
])("--mount %p is refused", (mount, message) => {
  expect(() => parseMount(mount)).toThrow(message);
});

const point = (destination: string, name: string): MountPoint => ({
  Type: "volume",
  Name: name,
  Source: `/v/${name}`,
  Destination: destination,
  Driver: "local",
  Mode: "z",
  RW: true,
  Propagation: "",
});

const resolve = (input: Partial<MountsInput>) =>
  resolveMounts({
    binds: [],
    mounts: [],
    tmpfs: {},
    volumesFrom: [],
    volumes: [],
    volumeDriver: "",
    mountsOf: () => [point("/lent", "lent"), point("/data", "lent2")],
    ...input,
  });

test("what is asked for by name takes the place of what is lent, VOLUMEs fill the rest", () => {
  const mounts = resolve({
    volumesFrom: ["other:ro"],
    binds: ["mine:/data"],
    mounts: [{ Type: "tmpfs", Target: "/a/b/c" }],
    volumes: ["/lent", "/own/", "/a/b/c", "/cache"],
    tmpfs: { "/cache": "" },
  });
  expect(mounts.map((mount) => [mount.type, mount.destination])).toEqual([
    ["volume", "/data"],
    ["lent", "/lent"],
    ["volume", "/own"],
    ["tmpfs", "/a/b/c"],
  ]);
  expect(mounts[1]).toMatchObject({ point: { RW: false, Mode: "", Name: "lent" } });
});

test("two wishes for one place are refused", () => {
  expect(() => resolve({ binds: ["a1:/x", "b1:/x/"] })).toThrow("Duplicate mount point: /x");
  expect(() => resolve({ binds: ["a1:/x"], tmpfs: { "/x": "" } })).toThrow("Duplicate mount point");
  expect(() => resolve({ tmpfs: { x: "" } })).toThrow("mount path must be absolute");
});

test("--volumes-from", () => {
  expect(parseVolumesFrom("web")).toEqual({ container: "web", mode: "rw", isReadOnly: false });
  expect(() => parseVolumesFrom("web:rshared")).toThrow("invalid mode: rshared");
  expect(() => parseVolumesFrom("")).toThrow("cannot be an empty string");
});

test("options of tmpfs: the user's word beats the default", () => {
  expect(tmpfsOptionsOfText("")).toEqual(["noexec", "nosuid", "nodev"]);
  expect(tmpfsOptionsOfText("exec,size=64m,mode=1770")).toEqual([
    "nosuid",
    "nodev",
    "exec",
    "size=64m",
    "mode=1770",
  ]);
  expect(() => tmpfsOptionsOfText("zoo")).toThrow('Invalid tmpfs option "zoo"');
  expect(tmpfsOptionsOfMount({ SizeBytes: 1024, Mode: 0o700, Options: [["exec"]] }, true)).toEqual([
    "nosuid",
    "nodev",
    "size=1024",
    "mode=700",
    "exec",
    "ro",
  ]);
});
