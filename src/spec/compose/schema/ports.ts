/** Published ports of services: short and long forms. */
import { isAddress, parsePorts } from "#spec/compose/ports.ts";
import { anyText, integer, matching, text } from "#spec/compose/forms.ts";
import type { Node } from "#spec/compose/node.ts";
import { fieldOf, fromPlain, map, scalar, toPlain } from "#spec/compose/node.ts";
import type { Reading, Shape } from "#spec/compose/shape.ts";
import { isOpen, listOf, record } from "#spec/compose/shape.ts";

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
    if (isOpen(node, reading)) return [node];
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
    if (isOpen(node, reading)) return node;
    const read = portLong.read(node, at, reading);
    const address = fieldOf(toPlain(read), "host_ip");
    if (typeof address !== "string" || (reading.hasVariables && address.includes("$"))) return read;
    if (address !== "" && !isAddress(address)) {
      reading.problem(node, at, `"${address}" is not an IP address`);
    }
    return read;
  },
};

export const ports = listOf(port, toPlain, {
  spread: spreadPort,
  key: (item) =>
    typeof item === "string"
      ? item
      : [
          fieldOf(item, "host_ip") ?? "0.0.0.0",
          fieldOf(item, "published") ?? "",
          fieldOf(item, "target"),
          fieldOf(item, "protocol") ?? "tcp",
        ].join(":"),
});
