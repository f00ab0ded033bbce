import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { bool } from "#cli/framework/flags.ts";
import type { CliContext } from "#cli/context.ts";
import { INSECURE, fetchManifest } from "#cli/manifest/fetch.ts";
import { listName, readList, writeList } from "#cli/manifest/list-file.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import type { IndexEntryBody, RemoteManifestBody } from "#spec/docker/image.ts";

/** A list speaks of what registries have: whoever names an image that is here only hears what is missing. */
const findManifest = async (
  context: CliContext,
  image: string,
  isInsecure: boolean,
): Promise<RemoteManifestBody> => {
  try {
    return await fetchManifest(context, image, isInsecure);
  } catch (thrown) {
    const client = await context.client();
    const here = await client.call("imageInspect", { name: image }).catch(() => undefined);
    const error = toNaruError(thrown);
    if (here === undefined) throw error;
    const words = `"${image}" is here, but not at its registry, where lists need it: naru push ${image}`;
    throw new NaruError(error.code, `${words} (${error.message})`, { cause: error });
  }
};

export const command = defineCommand({
  usage: "[OPTIONS] MANIFEST_LIST MANIFEST [MANIFEST...]",
  description: "Begin a list of images for several platforms. The images must be at a registry.",
  flags: {
    amend: bool("Add to a list that is there", "a"),
    insecure: bool(INSECURE),
  },
  args: { ...AT_LEAST_ONE, min: 2 },
  run: async ({ context, flags, args }) => {
    const [given = "", ...images] = args;
    const name = listName(given);
    const before = await readList(context, name);
    if (before !== undefined && !flags.amend) {
      throw new NaruError(
        "already_exists",
        `refusing to amend an existing manifest list "${name}" with no --amend flag`,
      );
    }
    const entries = new Map((before ?? []).map((entry) => [entry.Digest, entry]));
    for (const image of images) {
      const { Digest, Platform } = await findManifest(context, image, flags.insecure);
      if (Platform === undefined) {
        throw new NaruError("invalid_argument", `"${image}" is no single image: name its parts`);
      }
      const entry: IndexEntryBody = { Ref: listName(image), Digest, Platform };
      entries.set(Digest, entry);
    }
    writeList(context, name, [...entries.values()]);
    context.output.line(`Created manifest list ${name}`);
    return 0;
  },
});
