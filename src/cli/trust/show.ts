import { renderListing } from "#cli/format/listing.ts";
import { defineCommand, NONE } from "#cli/framework/command.ts";
import { format } from "#cli/framework/flags.ts";
import type { TrustRuleBody } from "#spec/docker/image.ts";

const row = (rule: TrustRuleBody) => ({
  Prefix: () => rule.Prefix,
  Action: () => rule.Action,
  Keys: () => rule.Keys.map(({ Path, Kind }) => `${Path} (${Kind})`).join(", "),
  Fingerprints: () => rule.Keys.map(({ Fingerprint }) => Fingerprint).join(", "),
  Reason: () => rule.Reason,
});

export const command = defineCommand({
  usage: "[OPTIONS]",
  description:
    "The rules that say which images may be pulled and run, as the engine reads them now.",
  flags: { format: format() },
  args: NONE,
  run: async ({ context, flags }) => {
    const client = await context.client();
    const policy = await client.call("trustPolicy", {});
    if (!policy.IsPresent && flags.format === undefined) {
      context.output.line(
        `There is no policy at ${policy.Path}: every image may be pulled and run.`,
      );
      return 0;
    }
    if (flags.format === undefined) context.output.error(`policy: ${policy.Path}`);
    context.output.print(
      renderListing({
        defaultTemplate: "{{.Prefix}}\t{{.Action}}\t{{.Keys}}\t{{.Reason}}",
        headers: {
          Prefix: "PREFIX",
          Action: "ACTION",
          Keys: "KEYS",
          Fingerprints: "FINGERPRINTS",
          Reason: "REASON",
        },
        rows: policy.Rules.toSorted((a, b) => a.Prefix.localeCompare(b.Prefix)).map(row),
        format: flags.format,
        quietField: undefined,
      }),
    );
    return 0;
  },
});
