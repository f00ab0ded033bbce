/** The whole file: services and what they share. */
import {
  boolean,
  integer,
  path,
  resolvePath,
  settings,
  text,
  textOrTexts,
  texts,
} from "#spec/compose/forms.ts";
import type { Node } from "#spec/compose/node.ts";
import { fromPlain, list, map, scalar, toPlain } from "#spec/compose/node.ts";
import { NAME } from "#spec/compose/schema/parts.ts";
import { service } from "#spec/compose/schema/service.ts";
import type { Fields, Reading, Shape } from "#spec/compose/shape.ts";
import { define, dict, kept, listOf, mergeNodes, nullable, record } from "#spec/compose/shape.ts";

/** `external: {name: x}` is the old way to write `name: x` and `external: true`. */
const external: Shape = define(
  (node, at, reading) => (node.kind === "map" ? node : boolean.read(node, at, reading)),
  {},
);

const liftExternalName = (node: Node, at: string, reading: Reading): Node => {
  const given = node.kind === "map" ? node.entries.get("external") : undefined;
  if (node.kind !== "map" || given?.kind !== "map") return node;
  const named = given.entries.get("name");
  const own = node.entries.get("name");
  if (named !== undefined && own !== undefined && toPlain(named) !== toPlain(own)) {
    reading.problem(node, at, '"name" and "external.name" differ; use "name" alone');
  }
  const entries = new Map(node.entries);
  entries.set("external", scalar({ place: given.place }, true));
  const name = own ?? named;
  if (name !== undefined) entries.set("name", name);
  return map(node, entries);
};

/** A resource that may be external; then nothing else may be said of it. */
const resource = (fields: Fields, exclusive: readonly string[] = []): Shape => {
  const shape = record(fields);
  return {
    ...shape,
    read: (node, at, reading) => {
      const read = liftExternalName(shape.read(node, at, reading), at, reading);
      if (read.kind !== "map") return read;
      const given = exclusive.filter((name) => read.entries.has(name));
      if (given.length > 1) {
        const names = given.map((name) => `"${name}"`).join(" and ");
        reading.problem(node, at, `${names} exclude each other`);
      }
      return read;
    },
  };
};

const pool = record({ subnet: text, gateway: text, ip_range: text, aux_addresses: settings("") });
const poolList = listOf(pool, toPlain);

const subnetOf = (node: Node): unknown =>
  node.kind === "map" ? toPlain(node.entries.get("subnet") ?? scalar(node, null)) : undefined;

/** Pools of the same subnet merge, others stand beside each other. */
const pools: Shape = {
  ...poolList,
  merge: (base, over) => {
    if (base.kind !== "list" || over.kind !== "list") return over;
    const items = [...base.items];
    for (const item of over.items) {
      const at = items.findIndex((known) => subnetOf(known) === subnetOf(item));
      const known = items[at];
      if (known === undefined) items.push(item);
      else items[at] = mergeNodes(pool, known, item);
    }
    return list({ place: over.place }, items);
  },
};

const network = nullable(
  resource({
    name: text,
    driver: text,
    driver_opts: settings(""),
    ipam: record({ driver: text, config: pools, options: settings("") }),
    external,
    internal: boolean,
    attachable: boolean,
    labels: settings(""),
    enable_ipv4: kept(boolean),
    enable_ipv6: kept(boolean),
  }),
);

const volumeShape = resource({
  name: text,
  driver: text,
  driver_opts: settings(""),
  external,
  labels: settings(""),
});

const volume: Shape = nullable({
  ...volumeShape,
  read: (node, at, reading) => {
    const read = volumeShape.read(node, at, reading);
    const plain = toPlain(read) as { driver?: unknown; driver_opts?: Record<string, unknown> };
    const device = plain.driver_opts?.["device"];
    const isBind = plain.driver === "local" && plain.driver_opts?.["o"] === "bind";
    if (!isBind || typeof device !== "string" || read.kind !== "map") return read;
    const resolved = { ...plain.driver_opts, device: resolvePath(device, reading) };
    return map(read, [
      ...read.entries,
      ["driver_opts", fromPlain(resolved, { place: read.place })],
    ]);
  },
});

const secret = resource(
  {
    name: text,
    file: path,
    environment: text,
    content: text,
    external,
    labels: settings(""),
    driver: text,
    driver_opts: settings(""),
    template_driver: text,
  },
  ["file", "environment", "content"],
);

const config = resource(
  {
    name: text,
    file: path,
    environment: text,
    content: text,
    external,
    labels: settings(""),
    template_driver: text,
  },
  ["file", "environment", "content"],
);

const model = record(
  { name: text, model: text, context_size: integer(), runtime_flags: texts() },
  { required: ["model"] },
);

const asPath = (node: Node): Node | undefined =>
  node.kind === "scalar" && typeof node.value === "string"
    ? fromPlain({ path: [node.value] }, node)
    : undefined;

/** Paths stay as written: each is relative to another folder. */
const include = record(
  { path: textOrTexts(), project_directory: text, env_file: textOrTexts() },
  { required: ["path"], hasExtensions: false, short: asPath, shortName: "a path" },
);

export const projectShape: Shape = record({
  version: define((node) => node),
  name: text,
  include: listOf(include, toPlain),
  services: kept(dict(service, { names: NAME })),
  networks: dict(network, { names: NAME }),
  volumes: dict(volume, { names: NAME }),
  secrets: dict(secret, { names: NAME }),
  configs: dict(config, { names: NAME }),
  models: dict(model, { names: NAME }),
});

export { service as serviceShape };
