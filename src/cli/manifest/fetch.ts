import type { CliContext } from "#cli/context.ts";
import { registryAuthHeader } from "#cli/registry/credentials.ts";
import type { RemoteManifestBody } from "#spec/docker/image.ts";

export const INSECURE = "The registry may have any certificate, or no TLS";

/** What a registry has under a name, through the engine: its rules for registries count. */
export const fetchManifest = async (
  context: CliContext,
  name: string,
  isInsecure: boolean,
): Promise<RemoteManifestBody> => {
  const client = await context.client();
  return await client.call("manifestGet", {
    name,
    ...(isInsecure ? { query: { insecure: "1" } } : {}),
    headers: await registryAuthHeader(context, name),
  });
};
