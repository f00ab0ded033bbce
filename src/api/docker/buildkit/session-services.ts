/** What a build asks its client for besides files: credentials, secrets. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { ClientSession } from "#api/docker/buildkit/sessions.ts";
import { hasCode } from "#lib/errors.ts";
import {
  CredentialsRequestSchema,
  CredentialsResponseSchema,
  GetSecretRequestSchema,
  GetSecretResponseSchema,
} from "#spec/buildkit/session.gen.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import { parseReference } from "#spec/image/reference.ts";

const CREDENTIALS = "/moby.filesync.v1.Auth/Credentials";
const GET_SECRET = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
/** A name and no password: the secret is a token. */
const TOKEN_USER = "<token>";
/** Kept out of words: a Dockerfile that names more is asked about in vain. */
const NAMES_MAX = 100;

const hostOf = (domain: string): string =>
  domain === "docker.io" ? "registry-1.docker.io" : domain;

/** undefined when the client has none for the registry. */
const credentialsFor = async (
  session: ClientSession,
  domain: string,
  signal: AbortSignal,
): Promise<AuthConfig | undefined> => {
  if (!session.supports(CREDENTIALS)) return undefined;
  const request = create(CredentialsRequestSchema, { host: hostOf(domain) });
  const answer = await session.client.call(
    CREDENTIALS,
    toBinary(CredentialsRequestSchema, request),
    signal,
  );
  const { username, secret } = fromBinary(CredentialsResponseSchema, answer);
  if (secret === "") return undefined;
  return username === "" || username === TOKEN_USER
    ? { identitytoken: secret }
    : { username, password: secret };
};

const domainOf = (name: string): string | undefined => {
  try {
    return parseReference(name).domain;
  } catch {
    // Variables, stages: what is no reference has no registry.
    return undefined;
  }
};

/** Credentials by registry for those `names` (of images) that a build may fetch or push. */
export const credentialsOf = async (
  session: ClientSession | undefined,
  names: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, AuthConfig>> => {
  const found = new Map<string, AuthConfig>();
  if (session === undefined) return found;
  const domains = new Set(names.slice(0, NAMES_MAX).flatMap((name) => domainOf(name) ?? []));
  for (const domain of domains) {
    const credentials = await credentialsFor(session, domain, signal);
    if (credentials !== undefined) found.set(domain, credentials);
  }
  return found;
};

/** undefined when the client has no such secret. */
export const secretOf = async (
  session: ClientSession | undefined,
  id: string,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> => {
  if (session === undefined || !session.supports(GET_SECRET)) return undefined;
  const request = toBinary(GetSecretRequestSchema, create(GetSecretRequestSchema, { id }));
  try {
    const answer = await session.client.call(GET_SECRET, request, signal);
    return fromBinary(GetSecretResponseSchema, answer).data;
  } catch (error) {
    if (!hasCode(error, "not_found")) throw error;
    return undefined;
  }
};
