/** Parts of services that have short and long forms; ports and mounts have files of their own. */
import {
  asText,
  boolean,
  bytes,
  command,
  decimal,
  duration,
  integer,
  oneOfWords,
  path,
  settings,
  text,
  textOrTexts,
  texts,
} from "#spec/compose/forms.ts";
import type { Node } from "#spec/compose/node.ts";
import { fieldOf, fromPlain, list, map, scalar, textOf, toPlain } from "#spec/compose/node.ts";
import type { Reading, Shape } from "#spec/compose/shape.ts";
import { define, dict, kept, listOf, nullable, record, replaced } from "#spec/compose/shape.ts";

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

export const NAME = /^[a-zA-Z0-9._-]+$/;

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
    tidy: (value, order) => (typeof value === "object" ? softHard.tidy(value, order) : value),
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
