/** Are these credentials any good? `POST /auth`, `docker login`. */
import { NaruError } from "#lib/errors.ts";
import type { Authorizer } from "#remote/auth.ts";
import type { Endpoint } from "#remote/endpoints.ts";
import type { HostClient } from "#remote/host.ts";
import { isInsecureHost } from "#remote/hosts.ts";
import type { LoginResult, RemoteConfig } from "#remote/remote.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";

interface LoginParts {
  readonly config: RemoteConfig;
  readonly authorizer: Authorizer;
  readonly clientOf: (endpoint: Endpoint) => HostClient;
}

const HUB_NAMES = ["", "docker.io", "index.docker.io", "registry-1.docker.io"];

/** Server addresses come as hosts or URLs, with old paths behind them. */
const hostOf = (address: string): string => {
  const host = address.replace(/^https?:\/\//, "").split("/")[0] ?? "";
  return HUB_NAMES.includes(host) ? "registry-1.docker.io" : host;
};

export const loginTo = async (
  { config, authorizer, clientOf }: LoginParts,
  credentials: AuthConfig,
  signal: AbortSignal,
): Promise<LoginResult> => {
  const host = hostOf(credentials.serveraddress ?? "");
  const client = clientOf({
    host,
    scheme: undefined,
    base: "",
    repository: "",
    isInsecure: isInsecureHost(host, config.insecure),
    isMirror: false,
    namespace: undefined,
  });
  const challenge = await client.probe(credentials, signal);
  if (challenge === undefined) return { identityToken: "" };
  const request = {
    challenger: client.challenger,
    challenge,
    scopes: [],
    credentials,
    signal,
  };
  if (challenge.scheme === "bearer") {
    const answer = await authorizer.token(request, true);
    return { identityToken: answer.refreshToken ?? credentials.identitytoken ?? "" };
  }
  const response = await client.request({
    method: "GET",
    path: "/v2/",
    scopes: [],
    credentials,
    accepts: [200, 401],
    what: `registry "${host}"`,
    attempts: config.maxAttempts,
    signal,
  });
  await response.body?.cancel();
  if (response.status === 200) return { identityToken: "" };
  throw new NaruError(
    "unauthenticated",
    `login attempt to ${new URL(response.url).origin}/v2/ failed with status: 401 Unauthorized`,
  );
};
