/** Volumes, devices, secrets and configs of services: short and long forms. */
import {
  asText,
  boolean,
  bytes,
  fileMode,
  integer,
  oneOfWords,
  resolvePath,
  settings,
  text,
} from "#spec/compose/forms.ts";
import type { Node } from "#spec/compose/node.ts";
import { fieldOf, fromPlain, map, scalar, textOf, toPlain } from "#spec/compose/node.ts";
import type { Reading, Shape } from "#spec/compose/shape.ts";
import { isOpen, kept, listOf, record } from "#spec/compose/shape.ts";
import { parseVolume } from "#spec/compose/volumes.ts";

const mountLong = record(
  {
    type: oneOfWords("bind", "volume", "tmpfs", "cluster", "npipe", "image"),
    source: text,
    target: text,
    read_only: boolean,
    consistency: text,
    bind: kept(
      record({
        selinux: oneOfWords("z", "Z"),
        propagation: text,
        create_host_path: boolean,
        recursive: oneOfWords("enabled", "disabled", "writable", "readonly"),
      }),
    ),
    volume: kept(record({ labels: settings(""), nocopy: boolean, subpath: text })),
    tmpfs: kept(record({ size: bytes, mode: integer(0) })),
    image: kept(record({ subpath: text })),
  },
  { required: ["type"] },
);

const withSource = (node: Node, reading: Reading): Node => {
  const plain = toPlain(node);
  const source = fieldOf(plain, "source");
  if (node.kind !== "map" || fieldOf(plain, "type") !== "bind") return node;
  if (typeof source !== "string" || source === "") return node;
  const entries = new Map(node.entries);
  entries.set("source", scalar({ place: node.place }, resolvePath(source, reading)));
  return map(node, entries);
};

const mount: Shape = {
  ...mountLong,
  read: (node, at, reading) => {
    const short = textOf(node);
    if (short === undefined) {
      const long = mountLong.read(node, at, reading);
      const plain = toPlain(long);
      if (fieldOf(plain, "type") === "bind" && fieldOf(plain, "source") === undefined) {
        reading.problem(node, at, 'a mount of type "bind" needs a "source"');
      }
      if (node.kind === "map" && fieldOf(plain, "target") === undefined) {
        reading.problem(node, at, '"target" is required');
      }
      return withSource(long, reading);
    }
    // A colon may be one of "${NAME:-default}".
    if (isOpen(node, reading)) return node;
    const parsed = parseVolume(short);
    if (typeof parsed !== "string") return withSource(fromPlain(parsed, node), reading);
    reading.problem(node, at, `"${short}" cannot be mounted: ${parsed}`);
    return map(node, []);
  },
};

export const volumes = listOf(mount, toPlain, {
  key: (item) => (typeof item === "string" ? item : String(fieldOf(item, "target"))),
});

// devices

const deviceLong = record(
  { source: text, target: text, permissions: text },
  { required: ["source"] },
);

const device: Shape = {
  ...deviceLong,
  read: (node, at, reading) => {
    const short = textOf(node);
    if (short === undefined) return deviceLong.read(node, at, reading);
    if (isOpen(node, reading)) return node;
    const [source = "", target, permissions = "rwm", ...rest] = short.split(":");
    if (rest.length > 0) reading.problem(node, at, `"${short}" has too many colons`);
    return fromPlain({ source, target: target ?? source, permissions }, node);
  },
};

export const devices = listOf(device, toPlain, {
  key: (item) =>
    typeof item === "string" ? item : String(fieldOf(item, "target") ?? fieldOf(item, "source")),
});

// secrets and configs of a service

const fileMount = record(
  { source: text, target: text, uid: text, gid: text, mode: kept(fileMode) },
  {
    short: (node) =>
      textOf(node) === undefined ? undefined : fromPlain({ source: textOf(node) }, node),
    shortName: "a name",
  },
);

export const fileMounts = (folder: string): Shape =>
  listOf(fileMount, toPlain, {
    key: (item) =>
      asText(fieldOf(item, "target") ?? `${folder}/${asText(fieldOf(item, "source"))}`),
  });
