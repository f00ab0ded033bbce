import { defineCommand, TWO } from "#cli/framework/command.ts";
import { text } from "#cli/framework/flags.ts";
import { knownList, listName, writeList } from "#cli/manifest/list-file.ts";
import { NaruError } from "#lib/errors.ts";

export const command = defineCommand({
  usage: "[OPTIONS] MANIFEST_LIST MANIFEST",
  description: "Say for which platform an image of a list is.",
  flags: {
    arch: text("Set architecture"),
    os: text("Set operating system"),
    "os-version": text("Set operating system version"),
    variant: text("Set architecture variant"),
  },
  args: TWO,
  run: async ({ context, flags, args }) => {
    const [given = "", image = ""] = args;
    const name = listName(given);
    const reference = listName(image);
    const list = await knownList(context, name);
    const changed = list.map((entry) => {
      if (entry.Ref !== reference) return entry;
      const { arch, os, variant } = flags;
      const osVersion = flags["os-version"];
      const Platform = {
        ...entry.Platform,
        ...(arch === undefined ? {} : { architecture: arch }),
        ...(os === undefined ? {} : { os }),
        ...(variant === undefined ? {} : { variant }),
        ...(osVersion === undefined ? {} : { osVersion }),
      };
      return { ...entry, Platform };
    });
    if (!list.some((entry) => entry.Ref === reference)) {
      throw new NaruError("not_found", `manifest for image ${reference} does not exist in ${name}`);
    }
    writeList(context, name, changed);
    return 0;
  },
});
