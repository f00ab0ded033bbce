import { renderListing } from "#cli/format/listing.ts";
import { defineCommand, upTo } from "#cli/framework/command.ts";
import { bool, filter, format } from "#cli/framework/flags.ts";
import { imageHeaders, imageLines, imageRow } from "#cli/image/rows.ts";

const TEMPLATE = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";
const DIGEST_TEMPLATE =
  "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";

export const command = defineCommand({
  usage: "[OPTIONS] [REPOSITORY[:TAG]]",
  flags: {
    all: bool("Show all images (default hides intermediate images)", "a"),
    digests: bool("Show digests"),
    filter: filter(),
    format: format(),
    "no-trunc": bool("Don't truncate output"),
    quiet: bool("Only show image IDs", "q"),
  },
  args: upTo(1),
  completes: "images",
  run: async ({ context, flags, args }) => {
    const [reference] = args;
    const client = await context.client();
    const filters =
      reference === undefined ? flags.filter : { ...flags.filter, reference: [reference] };
    const images = await client.call("imageList", {
      query: {
        all: flags.all,
        ...(Object.keys(filters).length > 0 ? { filters } : {}),
      },
    });
    const chosen =
      flags.format ?? (flags.quiet ? undefined : (await context.config()).imagesFormat);
    const withDigests = flags.digests || (chosen ?? "").includes(".Digest");
    const lines = imageLines(images, withDigests);
    context.output.print(
      renderListing({
        defaultTemplate: flags.digests ? DIGEST_TEMPLATE : TEMPLATE,
        headers: imageHeaders,
        raw: {
          repository: "Repository",
          tag: "Tag",
          ...(flags.digests ? { digest: "Digest" } : {}),
          image_id: "ID",
          created_at: "CreatedAt",
          virtual_size: "Size",
        },
        rows: lines.map((line) => imageRow(line, !flags["no-trunc"])),
        format: chosen,
        quietField: flags.quiet ? "ID" : undefined,
      }),
    );
    return 0;
  },
});
