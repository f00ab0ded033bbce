/**
 * Names of images: [domain[:port]/]path[:tag][@digest], the grammar and the error texts of Docker's
 * distribution/reference package (reference.go, normalize.go). "alpine" means
 * docker.io/library/alpine; `familiar` forms leave those defaults out again.
 */
import { NaruError } from "#lib/errors.ts";
import { type Digest, isDigest, parseDigest } from "#spec/image/digest.ts";

export interface Reference {
  /** "docker.io", "localhost:5000". */
  readonly domain: string;
  /** "library/alpine". */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

const DEFAULT_DOMAIN = "docker.io";
const LEGACY_DOMAIN = "index.docker.io";
const OFFICIAL = "library/";
const NAME_LENGTH_MAX = 255;
export const DEFAULT_TAG = "latest";

const WORD = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const LABEL = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const DOMAIN = `(?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const PATH = `${WORD}(?:/${WORD})*`;
const TAG = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
const DIGEST = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
const REFERENCE = new RegExp(`^(${DOMAIN})/(${PATH})(?::(${TAG}))?(?:@(${DIGEST}))?$`);
const FULL_ID = /^[a-f0-9]{64}$/;

const refuse = (reason: string): never => {
  throw new NaruError("invalid_argument", reason);
};

/** The first part is a registry when it looks like a host: a dot, a colon, "localhost", or upper case. */
const splitDomain = (name: string): [domain: string, rest: string] => {
  const at = name.indexOf("/");
  if (at < 0) return [DEFAULT_DOMAIN, OFFICIAL + name];
  const first = name.slice(0, at);
  const rest = name.slice(at + 1);
  const isHost = first === "localhost" || /[.:]/.test(first) || first.toLowerCase() !== first;
  if (!isHost) return [DEFAULT_DOMAIN, name];
  if (first !== DEFAULT_DOMAIN && first !== LEGACY_DOMAIN) return [first, rest];
  return [DEFAULT_DOMAIN, rest.includes("/") ? rest : OFFICIAL + rest];
};

/** Normalises a name as people type it. Throws invalid_argument with Docker's words. */
export const parseReference = (text: string): Reference => {
  if (FULL_ID.test(text)) {
    refuse(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  }
  const [domain, rest] = splitDomain(text);
  const remote = rest.includes(":") ? rest.slice(0, rest.indexOf(":")) : rest;
  if (remote.toLowerCase() !== remote) {
    refuse(`invalid reference format: repository name (${remote}) must be lowercase`);
  }
  const match = REFERENCE.exec(`${domain}/${rest}`);
  if (match === null) return refuse("invalid reference format");
  const [, host = "", path = "", tag, digest] = match;
  if (path.length > NAME_LENGTH_MAX) {
    refuse(`repository name must not be more than ${NAME_LENGTH_MAX} characters`);
  }
  return {
    domain: host,
    path,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest: parseDigest(digest) }),
  };
};

/** What a word given in place of an image may be: a whole id, or a name (or short id: same grammar). */
export type AnyReference =
  | { readonly kind: "id"; readonly id: Digest }
  | { readonly kind: "name"; readonly reference: Reference };

export const parseAnyReference = (text: string): AnyReference => {
  if (FULL_ID.test(text)) return { kind: "id", id: parseDigest(`sha256:${text}`) };
  if (isDigest(text)) return { kind: "id", id: text };
  return { kind: "name", reference: parseReference(text) };
};

/** Adds ":latest" when there is neither tag nor digest. */
export const withDefaultTag = (reference: Reference): Reference =>
  reference.tag === undefined && reference.digest === undefined
    ? { ...reference, tag: DEFAULT_TAG }
    : reference;

/** "docker.io/library/alpine". */
export const repositoryOf = (reference: Reference): string =>
  `${reference.domain}/${reference.path}`;

/** "alpine", "localhost:5000/a/b". */
export const familiarName = (reference: Reference): string => {
  if (reference.domain !== DEFAULT_DOMAIN) return repositoryOf(reference);
  const short = reference.path.startsWith(OFFICIAL) ? reference.path.slice(OFFICIAL.length) : "";
  if (short === "" || short.includes("/")) return reference.path;
  // A short name that looks like a host or an id would be read back as something else.
  return FULL_ID.test(short) ? reference.path : short;
};

const suffixOf = (reference: Reference): string =>
  (reference.tag === undefined ? "" : `:${reference.tag}`) +
  (reference.digest === undefined ? "" : `@${reference.digest}`);

export const familiarString = (reference: Reference): string =>
  familiarName(reference) + suffixOf(reference);

/** The whole name, defaults written out. */
export const formatReference = (reference: Reference): string =>
  repositoryOf(reference) + suffixOf(reference);
