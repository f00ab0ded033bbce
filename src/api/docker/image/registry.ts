/** Images and registries: pull, push, login, search, what a registry has. */
import type { Call } from "#api/docker/call.ts";
import { platformOf } from "#api/docker/image/platform.ts";
import { pumpProgress } from "#api/docker/image/progress.ts";
import { transferMessages } from "#api/docker/image/transfer-events.ts";
import { get, post, type Route } from "#api/docker/route.ts";
import { pumpStream } from "#api/docker/stream.ts";
import type { Finding, RuleReport } from "#image/trust-report.ts";
import type { IndexEntry } from "#image/transfer.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { decodeAuthConfig, parseRegistryAuth } from "#spec/docker/registry-auth.ts";
import { asArray, asDigest, asObject, asString } from "#spec/image/decode.ts";
import { decodePlatform } from "#spec/image/platform.ts";
import {
  type Reference,
  familiarName,
  familiarString,
  parseReference,
  withDefaultTag,
} from "#spec/image/reference.ts";

const HELLO = "naru/hello:latest";

/**
 * Docker answers 500 for a registry that cannot be reached (clients try those again), and where credentials are
 * missing: at a 401 the client would ask for a password in the middle of a script.
 */
const asDockerFailure = (thrown: unknown, isPull = false): unknown => {
  const error = toNaruError(thrown);
  const isRefused = error.details["registryCode"] === "NO_CREDENTIALS" || isPull;
  if (error.code !== "unavailable" && !(isRefused && error.code === "unauthenticated")) {
    return thrown;
  }
  const details = { ...error.details, status: 500 };
  return new NaruError(error.code, error.message, { cause: error, details });
};

/** Answers with what `work` tells, line by line, and with its failure in Docker's terms. */
const relay = async (call: Call, work: Parameters<typeof transferMessages>[1]): Promise<void> => {
  try {
    await pumpProgress(call, transferMessages(call.signal, work));
  } catch (error) {
    throw asDockerFailure(error, true);
  }
};

/** What `tag` says (a tag or a digest) counts before what the name has, as in Docker. */
const withTag = (name: string, tag: string): Reference => {
  const reference = parseReference(name);
  if (tag === "") return reference;
  const bare = familiarName(reference);
  if (tag.includes(":")) return parseReference(`${bare}@${tag}`);
  const { digest } = reference;
  return parseReference(`${bare}:${tag}${digest === undefined ? "" : `@${digest}`}`);
};

export const pull = async (call: Call, image: string): Promise<void> => {
  const { backend, query, signal } = call;
  const name = image.endsWith(":") ? image.slice(0, -1) : image;
  const reference = withTag(name, query.text("tag"));
  const familiar = familiarString(reference);
  if (familiarName(reference) === "scratch") {
    throw new NaruError("permission_denied", "'scratch' is a reserved name");
  }
  if (familiarString(withDefaultTag(reference)) === HELLO) {
    await pumpProgress(call, backend.images.hello(signal));
    return;
  }
  const credentials = parseRegistryAuth(call.field("x-registry-auth"));
  const platform = call.minor < 32 ? undefined : platformOf(call, "platform");
  const isAllTags = reference.tag === undefined && reference.digest === undefined;
  // naru's own: dockerd pulls one platform at a time.
  const isAllPlatforms = query.flag("allPlatforms");
  if (isAllPlatforms && platform !== undefined) {
    throw new NaruError(
      "invalid_argument",
      "conflicting options: allPlatforms and platform cannot both be set",
    );
  }
  await relay(call, (onEvent, stop) =>
    backend.images.pull(familiar, {
      credentials,
      onEvent,
      isAllTags,
      isAllPlatforms,
      hasReferrers: query.flag("referrers"),
      signal: stop,
      ...(platform === undefined ? {} : { platform }),
    }),
  );
};

const push = async (call: Call): Promise<void> => {
  const { backend, query } = call;
  const reference = withTag(call.name, query.text("tag"));
  if (reference.digest !== undefined) {
    throw new NaruError("invalid_argument", "cannot push a digest reference");
  }
  const credentials = parseRegistryAuth(call.field("x-registry-auth"));
  const platform = call.minor < 46 ? undefined : platformOf(call, "platform");
  await relay(call, (onEvent, stop) =>
    backend.images.push(familiarString(reference), {
      credentials,
      onEvent,
      isAllTags: reference.tag === undefined,
      signal: stop,
      ...(platform === undefined ? {} : { platform }),
    }),
  );
};

const answering = async <T>(work: Promise<T>): Promise<T> => {
  try {
    return await work;
  } catch (error) {
    throw asDockerFailure(error);
  }
};

const login = async (call: Call): Promise<void> => {
  const credentials = decodeAuthConfig(await call.readJson());
  const { identityToken } = await answering(call.backend.images.login(credentials, call.signal));
  call.json(200, { IdentityToken: identityToken, Status: "Login Succeeded" });
};

const distribution = async (call: Call): Promise<void> => {
  const credentials = parseRegistryAuth(call.field("x-registry-auth"));
  const { images } = call.backend;
  call.json(200, await answering(images.distribution(call.name, credentials, call.signal)));
};

const SEARCH_MAX = 100;
const SEARCH_DEFAULT = 25;

const search = async (call: Call): Promise<void> => {
  const { query, backend } = call;
  const text = query.text("limit");
  const limit = text === "" ? SEARCH_DEFAULT : Number(text);
  if (!Number.isInteger(limit) || limit < 1 || limit > SEARCH_MAX) {
    throw new NaruError(
      "invalid_argument",
      `limit ${text} is outside the range of [1, ${SEARCH_MAX}]`,
    );
  }
  const filters = query.filters(["is-automated", "is-official", "stars"]);
  const flag = (name: string): boolean | undefined => {
    const [value] = filters.get(name) ?? [];
    if (value === undefined) return undefined;
    if (!["true", "1", "false", "0"].includes(value)) {
      throw new NaruError("invalid_argument", `invalid filter '${name}=${value}'`);
    }
    return value === "true" || value === "1";
  };
  const isOfficial = flag("is-official");
  const isAutomated = flag("is-automated");
  const stars = Math.max(0, ...(filters.get("stars") ?? []).map(Number));
  if (Number.isNaN(stars)) throw new NaruError("invalid_argument", "invalid filter 'stars'");
  const credentials = parseRegistryAuth(call.field("x-registry-auth"));
  const found = await answering(
    backend.images.search(query.text("term"), limit, credentials, call.signal),
  );
  call.json(
    200,
    found.filter(
      (item) =>
        (isOfficial === undefined || item.is_official === isOfficial) &&
        (isAutomated === undefined || item.is_automated === isAutomated) &&
        item.star_count >= stars,
    ),
  );
};

const copy = async (call: Call): Promise<void> => {
  const { backend, query } = call;
  const platform = platformOf(call, "platform");
  const credentials = parseRegistryAuth(call.field("x-registry-auth"));
  const targetCredentials = parseRegistryAuth(call.field("x-registry-auth-target"));
  await relay(call, (onEvent, stop) =>
    backend.images.copy(query.text("source"), query.text("target"), {
      credentials,
      targetCredentials,
      onEvent,
      hasReferrers: query.flag("referrers"),
      signal: stop,
      ...(platform === undefined ? {} : { platform }),
    }),
  );
};

/** Answers when everything is here: then it only has to be sent. */
const exportRemote = async (call: Call): Promise<void> => {
  const { backend, query, signal } = call;
  const platform = platformOf(call, "platform");
  await using archive = await answering(
    backend.images.exportRemote(query.text("source"), {
      credentials: parseRegistryAuth(call.field("x-registry-auth")),
      onEvent: () => undefined,
      hasReferrers: query.flag("referrers"),
      signal,
      ...(platform === undefined ? {} : { platform }),
    }),
  );
  await pumpStream(call.stream("application/x-tar"), archive.stream(signal));
};

const publish = async (call: Call): Promise<void> => {
  const { backend, exchange, query } = call;
  const platform = platformOf(call, "platform");
  const credentials = parseRegistryAuth(call.field("x-registry-auth"));
  await relay(call, (onEvent, stop) =>
    backend.images.publish(query.text("target"), exchange.body(), {
      credentials,
      onEvent,
      signal: stop,
      ...(platform === undefined ? {} : { platform }),
    }),
  );
};

const manifest = async (call: Call): Promise<void> => {
  const credentials = parseRegistryAuth(call.field("x-registry-auth"));
  const { images } = call.backend;
  const isInsecure = call.query.flag("insecure");
  const found = await answering(
    images.manifest(call.name, { credentials, signal: call.signal, isInsecure }),
  );
  const { digest, mediaType, platform, sizeBytes, text } = found;
  call.json(200, {
    Digest: digest,
    MediaType: mediaType,
    Size: sizeBytes,
    ...(platform === undefined ? {} : { Platform: platform }),
    Text: text,
  });
};

const decodeEntry = (value: unknown, index: number): IndexEntry => {
  const what = `Entries[${index}]`;
  const entry = asObject(value, what);
  const platform = asObject(entry["Platform"], `${what}.Platform`);
  const { osVersion, osFeatures, ...rest } = platform;
  return {
    reference: asString(entry["Ref"], `${what}.Ref`),
    digest: asDigest(entry["Digest"], `${what}.Digest`),
    platform: decodePlatform(
      { ...rest, "os.version": osVersion, "os.features": osFeatures },
      `${what}.Platform`,
    ),
  };
};

const pushIndex = async (call: Call): Promise<void> => {
  const { backend, query } = call;
  const body = (await call.readJson()) ?? {};
  const entries = asArray(body["Entries"], "Entries").map(decodeEntry);
  const credentials = parseRegistryAuth(call.field("x-registry-auth"));
  await relay(call, (onEvent, stop) =>
    backend.images.pushIndex(query.text("target"), entries, {
      credentials,
      onEvent,
      signal: stop,
      isInsecure: query.flag("insecure"),
    }),
  );
};

const wireRule = ({ prefix, action, reason, keys }: RuleReport): object => ({
  Prefix: prefix,
  Action: action,
  Reason: reason,
  Keys: keys.map(({ path, kind, fingerprint }) => ({
    Path: path,
    Kind: kind,
    Fingerprint: fingerprint,
  })),
});

const trustPolicy = (call: Call): void => {
  const { path, isPresent, rules } = call.backend.images.trustPolicy();
  call.json(200, { Path: path, IsPresent: isPresent, Rules: rules.map(wireRule) });
};

const checkTrust = async (call: Call): Promise<void> => {
  const credentials = parseRegistryAuth(call.field("x-registry-auth"));
  const found = await call.backend.images.checkTrust(call.name, credentials, call.signal);
  const wireFinding = ({ isAllowed, text, digest }: Finding): object => ({
    IsAllowed: isAllowed,
    Text: text,
    Digest: digest ?? "",
  });
  call.json(200, {
    Name: found.name,
    Path: found.path,
    Rule: wireRule(found.rule),
    ...(found.here === undefined ? {} : { Here: wireFinding(found.here) }),
    AtRegistry: wireFinding(found.atRegistry),
  });
};

export const registryRoutes: readonly Route[] = [
  get("/naru/manifests/{name…}", manifest),
  post("/naru/manifests", pushIndex),
  post("/naru/images/copy", copy),
  get("/naru/images/export", exportRemote),
  post("/naru/images/publish", publish),
  get("/naru/trust", trustPolicy),
  get("/naru/trust/{name…}", checkTrust),
  get("/images/search", search),
  post("/images/{name…}/push", push),
  post("/auth", login),
  get("/distribution/{name…}/json", distribution),
];
