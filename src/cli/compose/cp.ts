import { chooseOne } from "#cli/compose/chosen.ts";
import { delegate } from "#cli/compose/delegate.ts";
import type { CliContext } from "#cli/context.ts";
import { defineCommand, TWO } from "#cli/framework/command.ts";
import { bool, integer } from "#cli/framework/flags.ts";

/** `SERVICE:PATH` with the container in the service's place. */
const resolvePath = async (
  context: CliContext,
  text: string,
  index: number | undefined,
): Promise<string> => {
  const match = /^([a-zA-Z0-9][\w.-]*):(.*)$/.exec(text);
  if (match === null) return text;
  const { stack, container } = await chooseOne(context, match[1] ?? "", index);
  stack.close();
  return `${container.id}:${match[2] ?? ""}`;
};

export const command = defineCommand({
  usage: "[OPTIONS] SERVICE:SRC_PATH DEST_PATH|- | SRC_PATH|- SERVICE:DEST_PATH",
  flags: {
    archive: bool("Copy uid and gid too", "a"),
    "follow-link": bool("Follow symbolic links in SRC_PATH", "L"),
    index: integer("The container with this number"),
  },
  args: TWO,
  run: async ({ context, flags, args }) => {
    const paths = await Promise.all(args.map((text) => resolvePath(context, text, flags.index)));
    const { command: copy } = await import("#cli/container/cp.ts");
    return delegate(context, copy, paths, {
      archive: flags.archive,
      "follow-link": flags["follow-link"],
    });
  },
});
