import { describe, expect, test } from "bun:test";
import { parseMount, parseTmpfs, splitVolumes } from "#cli/run-options/mounts.ts";

const GOOD: readonly (readonly [string, object])[] = [
  ["type=bind,src=/a,dst=/b", { Type: "bind", Source: "/a", Target: "/b" }],
  [
    "type=bind,source=/a,target=/b,readonly",
    { Type: "bind", Source: "/a", Target: "/b", ReadOnly: true },
  ],
  [
    "type=bind,src=/a,destination=/b,ro=true",
    { Type: "bind", Source: "/a", Target: "/b", ReadOnly: true },
  ],
  ["src=v,dst=/b", { Type: "volume", Source: "v", Target: "/b" }],
  ["type=bind,src=./x,dst=/b", { Type: "bind", Source: `${process.cwd()}/x`, Target: "/b" }],
  [
    "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1770",
    { Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 1_048_576, Mode: 0o1770 } },
  ],
  [
    "type=volume,src=v,dst=/b,volume-nocopy,volume-subpath=s",
    { Type: "volume", Source: "v", Target: "/b", VolumeOptions: { NoCopy: true, Subpath: "s" } },
  ],
  [
    "src=v,dst=/b,volume-driver=d,volume-opt=a=1,volume-opt=b=2",
    {
      Type: "volume",
      Source: "v",
      Target: "/b",
      VolumeOptions: { DriverConfig: { Name: "d", Options: { a: "1", b: "2" } } },
    },
  ],
  [
    'src=v,dst=/b,"volume-opt=o=addr=1,rw"',
    {
      Type: "volume",
      Source: "v",
      Target: "/b",
      VolumeOptions: { DriverConfig: { Options: { o: "addr=1,rw" } } },
    },
  ],
  [
    "src=v,dst=/b,volume-label=x=y",
    { Type: "volume", Source: "v", Target: "/b", VolumeOptions: { Labels: { x: "y" } } },
  ],
  [
    "type=bind,src=/a,dst=/b,bind-propagation=rshared",
    { Type: "bind", Source: "/a", Target: "/b", BindOptions: { Propagation: "rshared" } },
  ],
  [
    "type=bind,src=/a,dst=/b,bind-recursive=disabled",
    { Type: "bind", Source: "/a", Target: "/b", BindOptions: { NonRecursive: true } },
  ],
  [
    "type=image,src=img,dst=/b,image-subpath=s",
    { Type: "image", Source: "img", Target: "/b", ImageOptions: { Subpath: "s" } },
  ],
];

const BAD: readonly (readonly [string, string])[] = [
  ["", "value is empty"],
  ["foo", "invalid field 'foo' must be a key=value pair"],
  ["type=bind, src=/a", "option should not have whitespace"],
  ["src= ,dst=/b", "invalid value for 'src': value is empty"],
  ["what=x", "unknown option 'what' in 'what=x'"],
  ["type=bind,src=/a,dst=/b,ro=maybe", "invalid boolean value"],
  ["type=bind,src=/a,dst=/b,volume-nocopy", "cannot mix 'volume-*' options with mount type 'bind'"],
  ["type=volume,dst=/b,tmpfs-size=1m", "cannot mix 'tmpfs-*' options with mount type 'volume'"],
  ["type=tmpfs,dst=/b,tmpfs-size=x", "invalid value for tmpfs-size: x"],
  ["type=tmpfs,dst=/b,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"],
  ["type=bind,src=/a,dst=/b,bind-recursive=readonly", "requires 'readonly'"],
  ["type=bind,src=/a,dst=/b,ro,bind-recursive=readonly", "requires 'bind-propagation=rprivate'"],
  ["type=bind,src=/a,dst=/b,bind-nonrecursive", "use bind-recursive=disabled instead"],
  ["type=what,dst=/b", "invalid mount type: what"],
];

describe("--mount", () => {
  for (const [given, expected] of GOOD) {
    test(given, () => expect(parseMount(given)).toEqual(expected as never));
  }
  for (const [given, message] of BAD) {
    test(`refused: ${given}`, () => expect(() => parseMount(given)).toThrow(message));
  }
});

test("--volume: binds, named volumes, anonymous volumes", () => {
  expect(splitVolumes(["/a:/b", "v:/c:ro", "/anon", "./x:/y", "/a:/b"])).toEqual({
    binds: ["/a:/b", "v:/c:ro", `${process.cwd()}/x:/y`],
    anonymous: { "/anon": {} },
  });
  expect(() => splitVolumes([""])).toThrow("invalid empty volume spec");
  expect(() => splitVolumes(["/a::/b"])).toThrow("empty section between colons");
  expect(() => splitVolumes(["a:/b:ro:x"])).toThrow("too many colons");
});

test("--tmpfs", () => {
  expect(parseTmpfs(["/run", "/tmp:size=64m,mode=700"])).toEqual({
    "/run": "",
    "/tmp": "size=64m,mode=700",
  });
});
