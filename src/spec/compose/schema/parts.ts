/** Parts of services that have short and long forms. */
import { isAddress, parsePorts } from "#spec/compose/ports.ts";
import {
  anyText,
  asText,
  boolean,
  bytes,
  command,
  decimal,
  duration,
  fileMode,
  integer,
  matching,
  oneOfWords,
  path,
  resolvePath,
  settings,
  text,
  textOrTexts,
  texts,
} from "#spec/compose/forms.ts";
import type { Node } from "#spec/compose/node.ts";
import { fromPlain, list, map, scalar, toPlain } from "#spec/compose/node.ts";
import type { Reading, Shape } from "#spec/compose/shape.ts";
import { define, dict, kept, listOf, nullable, record, replaced } from "#spec/compose/shape.ts";
import { parseVolume } from "#spec/compose/volumes.ts";

const textOf = (node: Node): string | undefined =>
  node.kind === "scalar" && typeof node.value === "string" ? node.value : undefined;

/** A list of names as a mapping of names to `entry`. */
const namesAsMap =
  (entry: unknown) =>
  (node: Node): Node | undefined =>
    node.kind === "list" && node.items.every((item) => textOf(item) !== undefined)
      ? map(
          node,
          node.items.map((item) => [textOf(item) ?? "", fromPlain(entry, { place: item.place })]),
        )
      : undefined;

const fieldOf = (item: unknown, name: string): unknown =>
  typeof item === "object" && item !== null ? Reflect.get(item, name) : undefined;

export const NAME = /^[a-zA-Z0-9._-]+$/;

// ports

const portLong = record({
  name: text,
  mode: text,
  host_ip: matching(/./, "an IP address"),
  target: integer(1, 65_535),
  published: anyText,
  protocol: text,
  app_protocol: text,
});

const spreadPort = (node: Node, at: string, reading: Reading): readonly Node[] => {
  if (node.kind === "scalar" && node.value !== null && typeof node.value !== "boolean") {
    const parsed = parsePorts(String(node.value));
    if (typeof parsed !== "string") return parsed.map((port) => fromPlain(port, node));
    reading.problem(node, at, `"${String(node.value)}" cannot be published: ${parsed}`);
    return [];
  }
  if (node.kind !== "map") return [node];
  if (!node.entries.has("target")) reading.problem(node, at, '"target" is required');
  const entries = new Map(node.entries);
  const place = { place: node.place };
  if (!entries.has("mode")) entries.set("mode", scalar(place, "ingress"));
  if (!entries.has("protocol")) entries.set("protocol", scalar(place, "tcp"));
  return [map(node, entries)];
};

const port: Shape = {
  ...portLong,
  read: (node, at, reading) => {
    const read = portLong.read(node, at, reading);
    const address = fieldOf(toPlain(read), "host_ip");
    if (typeof address === "string" && address !== "" && !isAddress(address)) {
      reading.problem(node, at, `"${address}" is not an IP address`);
    }
    return read;
  },
};

export const ports = listOf(port, toPlain, {
  spread: spreadPort,
  key: (item) =>
    [
      fieldOf(item, "host_ip") ?? "0.0.0.0",
      fieldOf(item, "published") ?? "",
      fieldOf(item, "target"),
      fieldOf(item, "protocol") ?? "tcp",
    ].join(":"),
});

// volumes

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
    const parsed = parseVolume(short);
    if (typeof parsed !== "string") return withSource(fromPlain(parsed, node), reading);
    reading.problem(node, at, `"${short}" cannot be mounted: ${parsed}`);
    return map(node, []);
  },
};

export const volumes = listOf(mount, toPlain, {
  key: (item) => String(fieldOf(item, "target")),
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
    const [source = "", target, permissions = "rwm", ...rest] = short.split(":");
    if (rest.length > 0) reading.problem(node, at, `"${short}" has too many colons`);
    return fromPlain({ source, target: target ?? source, permissions }, node);
  },
};

export const devices = listOf(device, toPlain, {
  key: (item) => String(fieldOf(item, "target") ?? fieldOf(item, "source")),
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

// dependencies, networks, models

export const dependsOn = dict(
  record(
    {
      condition: oneOfWords("service_started", "service_healthy", "service_completed_successfully"),
      restart: boolean,
      required: kept(boolean),
    },
    { required: ["condition"] },
  ),
  {
    names: NAME,
    short: namesAsMap({ condition: "service_started", required: true }),
    shortName: "a list of services",
  },
);

const uniqueTexts = texts({ key: String });

export const serviceNetworks = dict(
  nullable(
    record({
      aliases: uniqueTexts,
      driver_opts: settings(""),
      gw_priority: integer(),
      interface_name: text,
      ipv4_address: text,
      ipv6_address: text,
      link_local_ips: uniqueTexts,
      mac_address: text,
      priority: integer(),
    }),
  ),
  { names: NAME, short: namesAsMap(null), shortName: "a list of networks" },
);

export const serviceModels = dict(nullable(record({ endpoint_var: text, model_var: text })), {
  names: NAME,
  short: namesAsMap(null),
  shortName: "a list of models",
});

// files of variables and labels

const envFile = record(
  { path, required: kept(boolean), format: text },
  {
    required: ["path"],
    hasExtensions: false,
    short: (node) =>
      textOf(node) === undefined
        ? undefined
        : fromPlain({ path: textOf(node), required: true }, node),
    shortName: "a path",
  },
);

export const envFiles = listOf(envFile, toPlain, {
  short: (node) =>
    textOf(node) === undefined ? undefined : list(node, [scalar(node, textOf(node) ?? "")]),
  shortName: "a path",
  key: (item) => String(fieldOf(item, "path")),
});

export const labelFiles = listOf(path, toPlain, {
  short: (node) =>
    textOf(node) === undefined ? undefined : list(node, [scalar(node, textOf(node) ?? "")]),
  shortName: "a path",
});

// ulimits

const softHard = record(
  { soft: kept(integer(-1)), hard: kept(integer(-1)) },
  {
    required: ["soft", "hard"],
  },
);
const single = integer(-1);

const ulimit: Shape = define(
  (node, at, reading) => (node.kind === "map" ? softHard : single).read(node, at, reading),
  {
    tidy: (value) => (typeof value === "object" ? softHard.tidy(value) : value),
    isKept: true,
  },
);

export const ulimits = dict(ulimit);

// extra_hosts

const hostLine = (name: string, address: string): string =>
  `${name}=${address.replace(/^\[(.+)\]$/, "$1")}`;

const hostsFromMap = (node: Node): Node | undefined => {
  if (node.kind !== "map") return undefined;
  return list(
    node,
    [...node.entries].flatMap(([name, value]) => {
      const addresses = value.kind === "list" ? value.items : [value];
      return addresses.map((address) =>
        scalar({ place: address.place }, hostLine(name, asText(toPlain(address) ?? ""))),
      );
    }),
  );
};

const hostLines = (node: Node, at: string, reading: Reading): readonly Node[] => {
  const line = textOf(node);
  if (line === undefined) return [node];
  const cut = line.includes("=") ? line.indexOf("=") : line.indexOf(":");
  const name = line.slice(0, Math.max(cut, 0));
  if (cut <= 0 || line.slice(cut + 1) === "") {
    reading.problem(node, at, `"${line}" must be HOST=ADDRESS`);
    return [];
  }
  const addresses = line.slice(cut + 1).split(",");
  return addresses.map((address) => scalar(node, hostLine(name, address)));
};

const hostTexts = listOf(text, toPlain, {
  short: hostsFromMap,
  shortName: "a mapping of names to addresses",
  spread: hostLines,
  key: String,
});
export const extraHosts: Shape = {
  ...hostTexts,
  tidy: (value) => (Array.isArray(value) ? value.map(String).toSorted() : value),
};

// health, hooks, logging

const healthTest: Shape = define((node, at, reading) => {
  const line = textOf(node);
  if (line !== undefined) return fromPlain(["CMD-SHELL", line], node);
  const read = texts().read(node, at, reading);
  const [first] = read.kind === "list" ? read.items : [];
  if (first !== undefined && !["CMD", "CMD-SHELL", "NONE"].includes(String(toPlain(first)))) {
    reading.problem(first, at, 'must begin with "CMD", "CMD-SHELL" or "NONE"');
  }
  return read;
}, {});

export const healthcheck = record({
  test: replaced(healthTest),
  timeout: duration,
  interval: duration,
  retries: kept(integer(0)),
  start_period: duration,
  start_interval: duration,
  disable: boolean,
});

export const hook = record(
  {
    command,
    user: text,
    privileged: boolean,
    working_dir: text,
    environment: settings(null),
  },
  { required: ["command"] },
);

const loggingShape = record({ driver: text, options: settings("") });

/** Options belong to a driver: another driver begins anew. */
export const logging: Shape = {
  ...loggingShape,
  merge: (base, over) => {
    const [before, after] = [fieldOf(toPlain(base), "driver"), fieldOf(toPlain(over), "driver")];
    if (before === after || before === undefined || after === undefined) {
      return loggingShape.merge(base, over);
    }
    return over;
  },
};

export const watchRule = record(
  {
    path,
    action: oneOfWords("rebuild", "sync", "restart", "sync+restart", "sync+exec"),
    target: text,
    exec: hook,
    include: textOrTexts(),
    ignore: textOrTexts(),
    initial_sync: boolean,
  },
  { required: ["path", "action"] },
);

// devices that are asked for

const count: Shape = define(
  (node, at, reading) =>
    node.kind === "scalar" && node.value === "all"
      ? scalar(node, -1)
      : integer(-1).read(node, at, reading),
  {},
);

const deviceRequestLong = record({
  capabilities: texts(),
  driver: text,
  count,
  device_ids: texts(),
  options: settings(""),
});

export const deviceRequest: Shape = {
  ...deviceRequestLong,
  read: (node, at, reading) => {
    const read = deviceRequestLong.read(node, at, reading);
    if (read.kind !== "map") return read;
    const [hasCount, hasIds] = [read.entries.has("count"), read.entries.has("device_ids")];
    if (hasCount && hasIds) {
      reading.problem(node, at, '"count" and "device_ids" exclude each other');
    }
    if (hasCount || hasIds) return read;
    return map(read, [...read.entries, ["count", scalar({ place: read.place }, -1)]]);
  },
};

export const gpus = listOf(deviceRequest, toPlain, {
  short: (node) => (textOf(node) === "all" ? fromPlain([{ count: "all" }], node) : undefined),
  shortName: '"all"',
});

export const resourceLimits = record({
  cpus: decimal,
  memory: bytes,
  pids: integer(-1),
  devices: listOf(
    {
      ...deviceRequest,
      read: (node, at, reading) => {
        if (node.kind === "map" && !node.entries.has("capabilities")) {
          reading.problem(node, at, '"capabilities" is required');
        }
        return deviceRequest.read(node, at, reading);
      },
    },
    toPlain,
  ),
  generic_resources: listOf(
    record({ discrete_resource_spec: record({ kind: kept(text), value: kept(integer()) }) }),
    toPlain,
  ),
});
