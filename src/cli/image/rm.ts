import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { bool, list } from "#cli/framework/flags.ts";
import { errorText } from "#cli/report.ts";
import { hasCode } from "#lib/errors.ts";

export const command = defineCommand({
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  flags: {
    force: bool("Force removal of the image", "f"),
    "no-prune": bool("Do not delete untagged parents"),
    platform: list("Remove only the given platform variant"),
  },
  args: AT_LEAST_ONE,
  completes: "images",
  run: async ({ context, flags, args }) => {
    const client = await context.client();
    client.beginRemoval();
    let exitCode = 0;
    // One after another: an image may be the parent of the next.
    for (const name of args) {
      try {
        const items = await client.call("imageRemove", {
          name,
          query: {
            force: flags.force,
            noprune: flags["no-prune"],
            ...(flags.platform.length > 0 ? { platforms: flags.platform } : {}),
          },
        });
        for (const item of items) {
          context.output.line(
            "Untagged" in item ? `Untagged: ${item.Untagged}` : `Deleted: ${item.Deleted}`,
          );
        }
      } catch (error) {
        context.output.error(errorText(error));
        if (!flags.force || !hasCode(error, "not_found")) exitCode = 1;
      }
    }
    return exitCode;
  },
});
