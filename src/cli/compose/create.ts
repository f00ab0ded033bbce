import { delegate } from "#cli/compose/delegate.ts";
import { command as up } from "#cli/compose/up.ts";
import { upFlags } from "#cli/compose/up-flags.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";

export const command = defineCommand({
  usage: "[OPTIONS] [SERVICE...]",
  flags: upFlags,
  args: ANY,
  run: ({ context, flags, args }) => delegate(context, up, args, { ...flags, "no-start": true }),
});
