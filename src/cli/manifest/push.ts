import { defineCommand, ONE } from "#cli/framework/command.ts";
import { bool } from "#cli/framework/flags.ts";
import { INSECURE } from "#cli/manifest/fetch.ts";
import { knownList, listName, removeList } from "#cli/manifest/list-file.ts";
import { registryAuthHeader } from "#cli/registry/credentials.ts";
import { showProgress } from "#cli/terminal/progress.ts";

export const command = defineCommand({
  usage: "[OPTIONS] MANIFEST_LIST",
  description: "Push a list to its registry, and the images that its repository has not.",
  flags: {
    purge: bool("Forget the list here after it was pushed", "p"),
    insecure: bool(INSECURE),
  },
  args: ONE,
  run: async ({ context, flags, args }) => {
    const name = listName(args[0] ?? "");
    const Entries = await knownList(context, name);
    const client = await context.client();
    const response = await client.call("manifestPush", {
      query: { target: name, ...(flags.insecure ? { insecure: "1" } : {}) },
      headers: await registryAuthHeader(context, name),
      body: { Entries },
    });
    await showProgress(response.body, { output: context.output, stream: "stdout" });
    if (flags.purge) removeList(context, name);
    return 0;
  },
});
