/** Images of a model by the digests that their registries tell. */
import type { CliContext } from "#cli/context.ts";
import { registryAuthHeader } from "#cli/registry/credentials.ts";
import type { Model } from "#spec/compose/compose.ts";
import { parseReference } from "#spec/image/reference.ts";

/** Throws what the engine or the registry answers for the first that cannot be found. */
export const resolveDigests = async (context: CliContext, model: Model): Promise<Model> => {
  const client = await context.client();
  const resolve = async (image: string): Promise<string> => {
    const { domain, path, tag, digest } = parseReference(image);
    const name = `${domain}/${path}`;
    if (digest !== undefined) return `${name}@${digest}`;
    const named = `${name}:${tag ?? "latest"}`;
    const headers = await registryAuthHeader(context, image);
    const found = await client.call("distribution", { name: named, headers });
    return `${named}@${found.Descriptor.digest}`;
  };
  const services = await Promise.all(
    Object.entries(model.services).map(async ([name, service]) => [
      name,
      service.image === undefined ? service : { ...service, image: await resolve(service.image) },
    ]),
  );
  return { ...model, services: Object.fromEntries(services) };
};
