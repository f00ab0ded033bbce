/** Where `naru copy` reads and writes: "transport:rest", or a bare name for a registry. Pure. */
import { NaruError } from "#lib/errors.ts";

export type Place =
  | { readonly kind: "registry"; readonly name: string }
  | { readonly kind: "store"; readonly name: string }
  /** `name`: the image of the layout; without one there has to be only one. */
  | { readonly kind: "oci"; readonly path: string; readonly name?: string }
  | { readonly kind: "oci-archive"; readonly path: string }
  | { readonly kind: "docker-archive"; readonly path: string };

const TRANSPORTS =
  "docker://NAME, store:NAME, oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE";

const needed = (rest: string, text: string): string => {
  if (rest !== "") return rest;
  throw new NaruError("invalid_argument", `"${text}" names nothing: use ${TRANSPORTS}`);
};

/** A path has no ":" in it, as with skopeo: what follows the first one is the name, which may have more ("app:1"). */
const layoutOf = (rest: string, text: string): Place => {
  const at = rest.indexOf(":");
  if (at < 0) return { kind: "oci", path: needed(rest, text) };
  const name = rest.slice(at + 1);
  const path = needed(rest.slice(0, at), text);
  return name === "" ? { kind: "oci", path } : { kind: "oci", path, name };
};

/** Throws invalid_argument for a transport that is not known. */
export const parsePlace = (text: string): Place => {
  const [, transport, rest = ""] = /^(docker:\/\/|[a-z][a-z-]*:)(.*)$/s.exec(text) ?? [];
  switch (transport) {
    case "docker://":
      return { kind: "registry", name: needed(rest, text) };
    case "store:":
      return { kind: "store", name: needed(rest, text) };
    case "oci:":
      return layoutOf(rest, text);
    case "oci-archive:":
      return { kind: "oci-archive", path: needed(rest, text) };
    case "docker-archive:":
      return { kind: "docker-archive", path: needed(rest, text) };
    case "dir:":
    case "containers-storage:":
    case "docker-daemon:":
      throw new NaruError("invalid_argument", `"${transport}" is not supported: use ${TRANSPORTS}`);
    case undefined:
    default:
      return { kind: "registry", name: text };
  }
};
