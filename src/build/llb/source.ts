/**
 * The op source: trees from outside as layers. docker-image, oci-layout and layers of this daemon are layers already;
 * local, git, http and https become one by their content.
 */
import { findImage } from "#build/base-image.ts";
import { fetchGit, fetchUrl } from "#build/fetch.ts";
import { LAYERS_FAILURE, LAYERS_SCHEME } from "#build/llb/llb.ts";
import { type LlbOutput, type LlbRun, refuseOp, solveVertex } from "#build/llb/run.ts";
import { type CopyFrom, copyVertex } from "#build/op/copy.ts";
import { contextTree } from "#build/trees.ts";
import { NaruError } from "#lib/errors.ts";
import type { SourceOp } from "#spec/buildkit/llb.gen.ts";
import type { LlbVertex } from "#spec/buildkit/llb.ts";
import { parseGitOrigin } from "#spec/dockerfile/git-origin.ts";
import { isDigest } from "#spec/image/digest.ts";
import { type Platform, parsePlatform } from "#spec/image/platform.ts";

interface Reading {
  readonly run: LlbRun;
  readonly vertex: LlbVertex;
  readonly attrs: Readonly<Record<string, string>>;
  /** What follows "scheme://". */
  readonly rest: string;
}

const platformOf = ({ platform }: LlbVertex): Platform | undefined => {
  if (platform === undefined || platform.os === "") return undefined;
  const { os, architecture, variant } = platform;
  return parsePlatform([os, architecture, variant].filter((part) => part !== "").join("/"));
};

/** Attributes that a source understands; the others are refused by name. */
const KNOWN: Readonly<Record<string, RegExp>> = {
  "docker-image": /^image\.(resolvemode|recordtype)$/,
  "oci-layout": /^oci\.(session|store)$|^image\.recordtype$/,
  local:
    /^local\.(session|includepattern|excludepatterns|followpaths|sharedkeyhint|differ|unique)$/,
  git: /^git\.(keepgitdir|fullurl|checksum|authtokensecret|authheadersecret|knownsshhosts|mountsshsock)$/,
  http: /^http\.(checksum|filename|perm|uid|gid)$/,
  https: /^http\.(checksum|filename|perm|uid|gid)$/,
  [LAYERS_SCHEME]: new RegExp(`^${LAYERS_FAILURE}$`),
};

const checkAttributes = (vertex: LlbVertex, scheme: string, attrs: SourceOp["attrs"]): void => {
  const known = KNOWN[scheme];
  if (known === undefined) {
    const remedy = `use ${Object.keys(KNOWN).slice(0, -1).join(", ")}`;
    throw refuseOp(vertex, `a source "${scheme}://"`, remedy);
  }
  const other = Object.keys(attrs).find((name) => !known.test(name));
  if (other !== undefined)
    throw refuseOp(vertex, `attribute "${other}" of a source`, "leave it out");
};

const image = async ({ run, vertex, rest, attrs }: Reading): Promise<LlbOutput> => {
  const { request, dependencies, held, solver, signal } = run;
  const { digest } = vertex;
  const state = await findImage(
    dependencies,
    {
      isPulled: attrs["image.resolvemode"] === "pull",
      credentials: await request.client.credentials(rest),
      signal,
      onEvent: (event) =>
        event.kind === "transfer"
          ? request.onEvent({ kind: "transfer", digest, transfer: event.transfer })
          : undefined,
    },
    rest,
    platformOf(vertex),
    0,
  );
  held.use(solver.hold(state.chainId));
  return { tree: state.chainId, isCached: false };
};

const list = (text: string | undefined): string[] => {
  if (text === undefined || text === "") return [];
  const parsed = JSON.parse(text) as unknown;
  if (Array.isArray(parsed) && parsed.every((one) => typeof one === "string")) return parsed;
  throw new NaruError("invalid_argument", `"${text}" is not a list of texts`);
};

/** The files of one tree as a layer, known by their content. */
const layerOf = async (
  { run, vertex }: Reading,
  from: Omit<CopyFrom, "isUnpacked">,
  more: { readonly destination?: string; readonly chown?: string; readonly chmod?: string },
): Promise<LlbOutput> => {
  const copy = await copyVertex(
    run.dependencies,
    {
      keyword: "COPY",
      from: [{ ...from, isUnpacked: false }],
      destination: more.destination ?? "/",
      chown: more.chown,
      chmod: more.chmod,
      excludes: [],
      isParents: false,
      isLink: false,
      isClassic: false,
      parent: undefined,
    },
    run.signal,
  );
  return await solveVertex(run, vertex, { ...copy, description: vertex.name });
};

const local = async (reading: Reading): Promise<LlbOutput> => {
  const { run, attrs, rest } = reading;
  const context = await run.request.client.local({
    directory: rest,
    session: attrs["local.session"] || undefined,
    includePatterns: list(attrs["local.includepattern"]),
    excludePatterns: list(attrs["local.excludepatterns"]),
    followPaths: list(attrs["local.followpaths"]),
  });
  run.held.use(context);
  const tree = contextTree(context, `"${rest}" of the client`);
  return await layerOf(reading, { tree, sources: ["."] }, {});
};

/** "github.com/x/y.git#ref:dir", with the whole address beside it where it is not https. */
const git = async (reading: Reading): Promise<LlbOutput> => {
  const { run, attrs, rest, vertex } = reading;
  const secret = ["git.authtokensecret", "git.authheadersecret"]
    .map((name) => attrs[name] ?? "")
    .find((id) => id !== "");
  if (secret !== undefined && (await run.request.client.secret(secret)) !== undefined) {
    throw refuseOp(
      vertex,
      `a git repository with the secret "${secret}"`,
      "use ssh or a public one",
    );
  }
  const [, fragment = ""] = rest.split(/#(.*)/s);
  const address = attrs["git.fullurl"] || `https://${rest.replace(/#.*/s, "")}`;
  const origin = parseGitOrigin(
    fragment === "" ? address : `${address}#${fragment}`,
    attrs["git.keepgitdir"] === "true",
    attrs["git.checksum"] || undefined,
  );
  if (origin === undefined) {
    throw new NaruError("invalid_argument", `"${address}" is not a git repository`);
  }
  const fetched = await fetchGit(run, origin);
  return await layerOf(reading, fetched, {});
};

const url = async (reading: Reading, address: string): Promise<LlbOutput> => {
  const { attrs } = reading;
  const fetched = await fetchUrl(reading.run, address, attrs["http.checksum"] || undefined);
  const { "http.uid": uid = "", "http.gid": gid = "", "http.filename": name = "" } = attrs;
  const perm = attrs["http.perm"] ?? "";
  const isOwned = uid !== "" || gid !== "";
  return await layerOf(reading, fetched, {
    ...(name === "" ? {} : { destination: `/${name}` }),
    ...(isOwned ? { chown: `${uid || "0"}:${gid || "0"}` } : {}),
    ...(perm === "" ? {} : { chmod: perm }),
  });
};

const layout = async ({ run, rest, attrs }: Reading): Promise<LlbOutput> => {
  const [name = "", digest = ""] = rest.split("@");
  if (!isDigest(digest)) {
    throw new NaruError("invalid_argument", `oci-layout "${rest}" needs a digest: NAME@sha256:…`);
  }
  const tree = await run.request.client.layout(attrs["oci.store"] || name, digest);
  run.held.use(run.solver.hold(tree));
  return { tree, isCached: false };
};

const layers = ({ run, rest, attrs }: Reading): LlbOutput => {
  const failure = attrs[LAYERS_FAILURE];
  if (failure !== undefined) {
    throw new NaruError("internal", failure, { details: { isUsers: true } });
  }
  if (rest === "") return { tree: undefined, isCached: true };
  if (!isDigest(rest) || run.dependencies.snapshots.layer(rest) === undefined) {
    throw new NaruError(
      "not_found",
      `the layers "${rest}" are not here any more: build them again`,
    );
  }
  run.held.use(run.solver.hold(rest));
  return { tree: rest, isCached: true };
};

export const solveSource = async (
  run: LlbRun,
  vertex: LlbVertex,
  { identifier, attrs }: SourceOp,
): Promise<LlbOutput> => {
  const [scheme = "", rest = ""] = identifier.split(/:\/\/(.*)/s);
  checkAttributes(vertex, scheme, attrs);
  const reading: Reading = { run, vertex, attrs, rest };
  switch (scheme) {
    case "docker-image":
      return await image(reading);
    case "oci-layout":
      return await layout(reading);
    case "local":
      return await local(reading);
    case "git":
      return await git(reading);
    case LAYERS_SCHEME:
      return layers(reading);
    default:
      return await url(reading, identifier);
  }
};
