import { defineCommand, ONE } from "#cli/framework/command.ts";
import { exitError } from "#cli/framework/errors.ts";
import { bool, contentTrust, text } from "#cli/framework/flags.ts";
import { registryAuthHeader } from "#cli/registry/credentials.ts";
import { splitReference } from "#cli/image/names.ts";
import { showProgress } from "#cli/terminal/progress.ts";

interface Aux {
  readonly manifestPushedInsteadOfIndex?: boolean;
  readonly originalIndex?: { readonly digest: string };
  readonly selectedManifest?: { readonly digest: string };
}

/** What the engine says beside the progress: that it sent one platform of several. */
const noteOf = (value: unknown): string | undefined => {
  const { manifestPushedInsteadOfIndex, originalIndex, selectedManifest } = (value ?? {}) as Aux;
  if (manifestPushedInsteadOfIndex !== true) return undefined;
  return (
    `NOTE: not all platforms of the image are here: the one that is was pushed alone, ${selectedManifest?.digest ?? ""} ` +
    `in place of the index ${originalIndex?.digest ?? ""}. To have the others, pull it from where it is whole with --all-platforms`
  );
};

export const command = defineCommand({
  usage: "[OPTIONS] NAME[:TAG]",
  flags: {
    "all-tags": bool("Push all tags of an image to the repository", "a"),
    "disable-content-trust": contentTrust(),
    platform: text("Push a platform-specific manifest as a single-platform image"),
    quiet: bool("Suppress verbose output", "q"),
  },
  args: ONE,
  completes: "images",
  run: async ({ context, flags, args }) => {
    const [image = ""] = args;
    const { repository, tag } = splitReference(image);
    if (flags["all-tags"] && (tag !== undefined || image.includes("@"))) {
      throw exitError(1, "tag can't be used with --all-tags/-a");
    }
    const client = await context.client();
    const auth = await registryAuthHeader(context, image);
    const response = await client.call("imagePush", {
      name: repository,
      query: {
        ...(flags["all-tags"] ? {} : { tag: tag ?? "latest" }),
        platform: flags.platform,
      },
      // The engine wants the header even when there is nothing to say.
      headers: { "X-Registry-Auth": Buffer.from("{}").toString("base64url"), ...auth },
    });
    const notes: string[] = [];
    await showProgress(response.body, {
      output: context.output,
      stream: "stdout",
      isQuiet: flags.quiet,
      onAux: (value) => {
        const note = noteOf(value);
        if (note !== undefined) notes.push(note);
      },
    });
    for (const note of notes) context.output.error(note);
    if (flags.quiet) context.output.line(image);
    return 0;
  },
});
