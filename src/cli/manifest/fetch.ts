import type { CliContext } from "#cli/context.ts";
import { registryAuthHeader } from "#cli/registry/credentials.ts";
import type { RemoteManifestBody } from "#spec/docker/image.ts";

/** What a registry has under a name, through the engine: its rules for registries count. */
export const fetchManifest = async (
  context: CliContext,
  name: string,
): Promise<RemoteManifestBody> => {
  const client = await context.client();
  return await client.call("manifestGet", {
    name,
    headers: await registryAuthHeader(context, name),
  });
};
