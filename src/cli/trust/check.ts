import { defineCommand, ONE } from "#cli/framework/command.ts";
import { bool } from "#cli/framework/flags.ts";
import { registryAuthHeader } from "#cli/registry/credentials.ts";
import type { TrustFindingBody } from "#spec/docker/image.ts";

const textOf = (where: string, { IsAllowed, Text }: TrustFindingBody): string =>
  `${where}${IsAllowed ? "yes" : "no "}  ${Text}`;

export const command = defineCommand({
  usage: "[OPTIONS] IMAGE",
  description:
    "Say which rule of the trust policy an image falls under, and whether it may be run and pulled. Asks its registry for signatures, fetches nothing else. Exits with 1 when it may not be pulled, or is here and may not be run.",
  flags: { json: bool("Everything as JSON") },
  args: ONE,
  completes: "images",
  run: async ({ context, flags, args }) => {
    const [name = ""] = args;
    const client = await context.client();
    const headers = await registryAuthHeader(context, name);
    const found = await client.call("trustCheck", { name, headers });
    const { Rule, Here, AtRegistry } = found;
    const isAllowed = AtRegistry.IsAllowed && (Here?.IsAllowed ?? true);
    if (flags.json) {
      context.output.line(JSON.stringify(found));
      return isAllowed ? 0 : 1;
    }
    const reason = Rule.Reason === "" ? "" : ` (${Rule.Reason})`;
    context.output.line(
      `${found.Name}: rule "${Rule.Prefix}" of ${found.Path}: ${Rule.Action}${reason}`,
    );
    for (const { Path, Kind, Fingerprint } of Rule.Keys) {
      context.output.line(`  key       ${Path} ${Kind} ${Fingerprint}`);
    }
    context.output.line(
      Here === undefined ? "  run       -    no such image here" : textOf("  run       ", Here),
    );
    context.output.line(textOf("  pull      ", AtRegistry));
    return isAllowed ? 0 : 1;
  },
});
