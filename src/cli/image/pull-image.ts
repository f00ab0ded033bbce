/** POST /images/create for pulls, with the user's credentials for the registry. */
import type { CliContext } from "#cli/context.ts";
import { registryAuthHeader } from "#cli/registry/credentials.ts";
import type { OutputStream } from "#cli/output.ts";
import { showProgress } from "#cli/terminal/progress.ts";

export interface PullOptions {
  readonly platform?: string | undefined;
  readonly isQuiet?: boolean;
  readonly stream: OutputStream;
  readonly isAllTags?: boolean;
  readonly isAllPlatforms?: boolean;
  readonly hasReferrers?: boolean;
}

const splitTag = (image: string): { name: string; tag: string } => {
  const at = image.indexOf("@");
  if (at >= 0) return { name: image.slice(0, at), tag: image.slice(at + 1) };
  const colon = image.indexOf(":", image.lastIndexOf("/") + 1);
  return colon < 0
    ? { name: image, tag: "latest" }
    : { name: image.slice(0, colon), tag: image.slice(colon + 1) };
};

export const pullImage = async (
  context: CliContext,
  image: string,
  options: PullOptions,
): Promise<void> => {
  const client = await context.client();
  const { name, tag } = splitTag(image);
  const response = await client.call("imagePull", {
    query: {
      fromImage: name,
      ...(options.isAllTags === true ? {} : { tag }),
      platform: options.platform,
      ...(options.isAllPlatforms === true ? { allPlatforms: true } : {}),
      ...(options.hasReferrers === true ? { referrers: true } : {}),
    },
    headers: await registryAuthHeader(context, image),
  });
  await showProgress(response.body, {
    output: context.output,
    stream: options.stream,
    isQuiet: options.isQuiet === true,
  });
};
