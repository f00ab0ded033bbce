import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { bool } from "#cli/framework/flags.ts";
import { fetchManifest } from "#cli/manifest/fetch.ts";
import { listName, readList, writeList } from "#cli/manifest/list-file.ts";
import { NaruError } from "#lib/errors.ts";
import type { IndexEntryBody } from "#spec/docker/image.ts";

export const command = defineCommand({
  usage: "[OPTIONS] MANIFEST_LIST MANIFEST [MANIFEST...]",
  description: "Begin a list of images for several platforms. The images must be at a registry.",
  flags: { amend: bool("Add to a list that is there", "a") },
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
      const { Digest, Platform } = await fetchManifest(context, image);
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
