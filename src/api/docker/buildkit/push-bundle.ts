/** A bundle to a registry with the credentials of the build's client, progress below a vertex. */
import { credentialsOf } from "#api/docker/buildkit/session-services.ts";
import type { SolveContext } from "#api/docker/buildkit/solve.ts";
import type { ShownVertex } from "#api/docker/buildkit/vertices.ts";
import type { Bundle } from "#image/bundle.ts";
import type { TransferEvent } from "#image/transfer.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import { parseReference } from "#spec/image/reference.ts";

const HUB = "https://index.docker.io/v1/";

/** Those of the client's session, or those that came along. */
export const credentialsFor = async (
  { session, credentials, signal }: SolveContext,
  name: string,
): Promise<AuthConfig> => {
  const { domain } = parseReference(name);
  if (credentials === undefined) {
    return (await credentialsOf(session, [name], signal)).get(domain) ?? {};
  }
  const keys = domain === "docker.io" ? [HUB, domain] : [domain, `https://${domain}`];
  return keys.map((key) => credentials.get(key)).find((found) => found !== undefined) ?? {};
};

export const pushBundle = async (
  context: SolveContext,
  vertex: ShownVertex,
  name: string,
  bundle: Bundle,
): Promise<void> => {
  const { backend, signal } = context;
  const credentials = await credentialsFor(context, name);
  let told: Promise<void> = Promise.resolve();
  let waiting = 0;
  const onEvent = (event: TransferEvent): void => {
    // Counts that nobody has taken are left out.
    if (event.current !== undefined && waiting > 0) return;
    waiting += 1;
    told = told.then(() => vertex.transfer(event)).finally(() => (waiting -= 1));
  };
  const bundles = await backend.images.bundles();
  await bundles.push(name, bundle, { credentials, signal, onEvent });
  await told;
};
