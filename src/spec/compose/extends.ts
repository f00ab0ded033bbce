/** `extends`: a service that begins as another one, of this file or of another. */
import type { MapNode, Node } from "#spec/compose/node.ts";
import { map, placedError, toPlain } from "#spec/compose/node.ts";
import { serviceShape } from "#spec/compose/schema/project.ts";
import { mergeNodes } from "#spec/compose/shape.ts";
import { nearestWord } from "#spec/compose/suggest.ts";

/** Services of one file, and the folder its relative paths stand for. */
export interface ServicesOfFile {
  readonly file: string;
  readonly folder: string;
  readonly services: MapNode;
}

/** Reads the services of another file, named as it is seen from `folder`; throws when it is not there. */
export type OpenServices = (file: string, folder: string, from: Node) => ServicesOfFile;

const without = (node: MapNode, name: string): MapNode =>
  map(
    node,
    [...node.entries].filter(([key]) => key !== name),
  );

const resolveService = (
  name: string,
  here: ServicesOfFile,
  open: OpenServices,
  chain: readonly string[],
): Node => {
  const own = here.services.entries.get(name);
  if (own?.kind !== "map") return own ?? map(here.services, []);
  const given = own.entries.get("extends");
  if (given === undefined || given.tag === "reset") return own;
  const { service, file } = toPlain(given) as { service: string; file?: string };
  const link = `${here.file} ${name}`;
  if (chain.includes(link)) {
    const names = [...chain, link].map((step) => step.split(" ").at(-1));
    throw placedError(given.place, `services.${name}: extends itself: ${names.join(" → ")}`);
  }
  const there = file === undefined ? here : open(file, here.folder, given);
  if (!there.services.entries.has(service)) {
    const near = nearestWord(service, [...there.services.entries.keys()]);
    const hint = near === undefined ? "" : `; did you mean "${near}"?`;
    const where = file === undefined ? "this file" : `"${there.file}"`;
    throw placedError(
      given.place,
      `services.${name}.extends: there is no service "${service}" in ${where}${hint}`,
    );
  }
  const base = resolveService(service, there, open, [...chain, link]);
  return mergeNodes(serviceShape, base, without(own, "extends"));
};

/** The services with what they extend merged in. */
export const applyExtends = (here: ServicesOfFile, open: OpenServices): MapNode =>
  map(
    here.services,
    [...here.services.entries.keys()].map((name) => [name, resolveService(name, here, open, [])]),
  );
