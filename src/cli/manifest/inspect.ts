import { defineCommand, ONE } from "#cli/framework/command.ts";
import { bool } from "#cli/framework/flags.ts";
import { INSECURE, fetchManifest } from "#cli/manifest/fetch.ts";
import { listName, readList } from "#cli/manifest/list-file.ts";

export const command = defineCommand({
  usage: "[OPTIONS] MANIFEST",
  description: "Show a list that was made here, or what a registry has under a name.",
  flags: {
    verbose: bool("Also digest, size and platform", "v"),
    insecure: bool(INSECURE),
  },
  args: ONE,
  run: async ({ context, flags, args }) => {
    const [given = ""] = args;
    const list = await readList(context, listName(given));
    if (list !== undefined) {
      context.output.line(JSON.stringify(list, undefined, "\t"));
      return 0;
    }
    const { Text, ...facts } = await fetchManifest(context, given, flags.insecure);
    const document = JSON.parse(Text) as object;
    const shown = flags.verbose ? { Ref: given, ...facts, Manifest: document } : document;
    context.output.line(JSON.stringify(shown, undefined, "\t"));
    return 0;
  },
});
