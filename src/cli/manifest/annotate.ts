import { defineCommand, TWO } from "#cli/framework/command.ts";
import { list, text } from "#cli/framework/flags.ts";
import { knownList, listName, writeList } from "#cli/manifest/list-file.ts";
import { NaruError } from "#lib/errors.ts";

export const command = defineCommand({
  usage: "[OPTIONS] MANIFEST_LIST MANIFEST",
  description: "Say for which platform an image of a list is.",
  flags: {
    arch: text("Set architecture"),
    os: text("Set operating system"),
    "os-features": list("Set operating system features"),
    "os-version": text("Set operating system version"),
    variant: text("Set architecture variant"),
  },
  args: TWO,
  run: async ({ context, flags, args }) => {
    const [given = "", image = ""] = args;
    const name = listName(given);
    const reference = listName(image);
    const before = await knownList(context, name);
    const osFeatures = flags["os-features"].flatMap((given) => given.split(","));
    const changed = before.map((entry) => {
      if (entry.Ref !== reference) return entry;
      const { arch, os, variant } = flags;
      const osVersion = flags["os-version"];
      const Platform = {
        ...entry.Platform,
        ...(arch === undefined ? {} : { architecture: arch }),
        ...(os === undefined ? {} : { os }),
        ...(variant === undefined ? {} : { variant }),
        ...(osVersion === undefined ? {} : { osVersion }),
        ...(osFeatures.length === 0 ? {} : { osFeatures }),
      };
      return { ...entry, Platform };
    });
    if (!before.some((entry) => entry.Ref === reference)) {
      throw new NaruError("not_found", `manifest for image ${reference} does not exist in ${name}`);
    }
    writeList(context, name, changed);
    return 0;
  },
});
