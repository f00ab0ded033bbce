import { chooseOne } from "#cli/compose/chosen.ts";
import { defineCommand } from "#cli/framework/command.ts";
import { integer, text } from "#cli/framework/flags.ts";
import { NaruError } from "#lib/errors.ts";

export const command = defineCommand({
  usage: "[OPTIONS] SERVICE PRIVATE_PORT",
  flags: {
    index: integer("The container with this number"),
    protocol: text("tcp or udp", undefined, { shownDefault: "tcp", completes: ["tcp", "udp"] }),
  },
  args: { min: 2, max: 2 },
  run: async ({ context, flags, args }) => {
    const [service = "", port = ""] = args;
    const { stack, container } = await chooseOne(context, service, flags.index);
    using _owned = stack;
    const protocol = flags.protocol ?? "tcp";
    const found = container.ports.find(
      (item) =>
        item.PrivatePort === Number(port) &&
        item.Type === protocol &&
        item.PublicPort !== undefined,
    );
    if (found === undefined) {
      throw new NaruError(
        "not_found",
        `${port}/${protocol} of "${container.name}" is not published`,
      );
    }
    const address = found.IP?.includes(":") === true ? `[${found.IP}]` : (found.IP ?? "");
    context.output.line(`${address}:${String(found.PublicPort)}`);
    return 0;
  },
});
