import { defineCommand, TWO } from "#cli/framework/command.ts";
import { splitReference } from "#cli/image/names.ts";

export const command = defineCommand({
  usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
  flags: {},
  args: TWO,
  completes: "images",
  run: async ({ context, args }) => {
    const [name = "", target = ""] = args;
    const { repository, tag } = splitReference(target);
    const client = await context.client();
    await client.call("imageTag", { name, query: { repo: repository, tag: tag ?? "latest" } });
    return 0;
  },
});
