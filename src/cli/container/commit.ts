import { defineCommand } from "#cli/framework/command.ts";
import { bool, enabled, list, text } from "#cli/framework/flags.ts";
import { splitReference } from "#cli/image/names.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
  flags: {
    author: text('Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")', "a"),
    change: list("Apply Dockerfile instruction to the created image", "c"),
    message: text("Commit message", "m"),
    "no-pause": bool("Disable pausing container during commit"),
    pause: enabled("Pause container during commit", { short: "p", isHidden: true }),
  },
  args: { min: 1, max: 2 },
  completes: "containers",
  run: async ({ context, flags, args }) => {
    const [container = "", reference] = args;
    const { repository, tag } = splitReference(reference ?? "");
    const client = await context.client();
    const { Id } = await client.call("containerCommit", {
      query: {
        container,
        repo: repository === "" ? undefined : repository,
        tag,
        comment: flags.message,
        author: flags.author,
        changes: flags.change,
        ...(flags["no-pause"] || !flags.pause ? { pause: "0" } : {}),
      },
      body: {},
    });
    context.output.line(Id);
    return 0;
  },
});
