import { bringUp } from "#cli/compose/bring-up.ts";
import { openProject } from "#cli/compose/project.ts";
import { openStack } from "#cli/compose/stack.ts";
import { upOptions, withScale } from "#cli/compose/up-options.ts";
import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { bool } from "#cli/framework/flags.ts";

export const command = defineCommand({
  usage: "[OPTIONS] SERVICE=NUMBER...",
  flags: { "no-deps": bool("Leave the services alone that these depend on") },
  args: AT_LEAST_ONE,
  run: async ({ context, flags, args }) => {
    const named = args.map((text) => text.split("=")[0] ?? "");
    const whole = await openProject(context, named);
    const project = { ...whole, model: withScale(whole.model, args) };
    const { stack, screen } = await openStack(context, project);
    using _owned = stack;
    await bringUp(context, stack, screen, {
      ...upOptions(context, project, named, flags),
      recreate: "never",
    });
    return 0;
  },
});
