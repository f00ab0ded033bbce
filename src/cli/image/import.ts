import { defineCommand } from "#cli/framework/command.ts";
import { list, text } from "#cli/framework/flags.ts";
import { splitReference } from "#cli/image/names.ts";
import { showProgress } from "#cli/terminal/progress.ts";
import { uploadFrom } from "#cli/terminal/save-stream.ts";

async function* nothing(): AsyncGenerator<Uint8Array> {}

export const command = defineCommand({
  usage: "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
  flags: {
    change: list("Apply Dockerfile instruction to the created image", "c"),
    message: text("Set commit message for imported image", "m"),
    platform: text("Set platform if server is multi-platform capable"),
  },
  args: { min: 1, max: 2 },
  completes: "files",
  run: async ({ context, flags, args }) => {
    const [source = "", reference = ""] = args;
    const isUrl = /^https?:\/\//.test(source);
    const { repository, tag } = splitReference(reference);
    const client = await context.client();
    const response = await client.call("imageImport", {
      query: {
        fromSrc: isUrl ? source : "-",
        repo: repository === "" ? undefined : repository,
        tag,
        message: flags.message,
        changes: flags.change,
        platform: flags.platform,
      },
      headers: { "Content-Type": "application/x-tar" },
      body: isUrl ? nothing() : await uploadFrom(source),
    });
    await showProgress(response.body, { output: context.output, stream: "stdout" });
    return 0;
  },
});
