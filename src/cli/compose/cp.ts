import { chooseContainers, chooseOne } from "#cli/compose/chosen.ts";
import { delegate } from "#cli/compose/delegate.ts";
import type { CliContext } from "#cli/context.ts";
import { defineCommand, TWO } from "#cli/framework/command.ts";
import { usageError } from "#cli/framework/errors.ts";
import { bool, integer } from "#cli/framework/flags.ts";

const SERVICE_PATH = /^([a-zA-Z0-9][\w.-]*):(.*)$/;

/** `SERVICE:PATH` of a source, with the container in the service's place. */
const resolveSource = async (
  context: CliContext,
  text: string,
  index: number | undefined,
): Promise<string> => {
  const match = SERVICE_PATH.exec(text);
  if (match === null) return text;
  const { stack, container } = await chooseOne(context, match[1] ?? "", index);
  stack.close();
  return `${container.id}:${match[2] ?? ""}`;
};

/** The same of a destination: each of the service's containers, unless one of them was named. */
const resolveTargets = async (
  context: CliContext,
  text: string,
  index: number | undefined,
  hasOneOff: boolean,
): Promise<string[]> => {
  const match = SERVICE_PATH.exec(text);
  if (match === null) return [text];
  const [, service = "", path = ""] = match;
  if (index !== undefined && index !== 0) return [await resolveSource(context, text, index)];
  const { stack, containers } = await chooseContainers(context, [service], { hasOneOff });
  stack.close();
  if (containers.length === 0) return [await resolveSource(context, text, index)];
  return containers.map(({ id }) => `${id}:${path}`);
};

export const command = defineCommand({
  usage: "[OPTIONS] SERVICE:SRC_PATH DEST_PATH|- | SRC_PATH|- SERVICE:DEST_PATH",
  flags: {
    all: bool("Copy to containers of 'run' too"),
    archive: bool("Copy uid and gid too", "a"),
    "follow-link": bool("Follow symbolic links in SRC_PATH", "L"),
    index: integer("The container with this number; copies go to all without it"),
  },
  args: TWO,
  run: async ({ context, flags, args }) => {
    const [from = "", to = ""] = args;
    const [source, targets] = await Promise.all([
      resolveSource(context, from, flags.index),
      resolveTargets(context, to, flags.index, flags.all),
    ]);
    if (from === "-" && targets.length > 1) {
      throw usageError("standard input can be read only once: choose a container with --index");
    }
    const { command: copy } = await import("#cli/container/cp.ts");
    const codes = [];
    for (const target of targets) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, as their words are shown
      const code = await delegate(context, copy, [source, target], {
        archive: flags.archive,
        "follow-link": flags["follow-link"],
      });
      codes.push(code);
    }
    return codes.find((code) => code !== 0) ?? 0;
  },
});
