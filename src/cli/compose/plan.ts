import { openProject } from "#cli/compose/project.ts";
import { openStack } from "#cli/compose/stack.ts";
import { upFlags } from "#cli/compose/up-flags.ts";
import { upOptions, withScale } from "#cli/compose/up-options.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { text } from "#cli/framework/flags.ts";
import { decideImagesUp, decideUp } from "#compose/decide.ts";
import { planLines, planSummary } from "#compose/plan.ts";

export const command = defineCommand({
  usage: "[OPTIONS] [SERVICE...]",
  description: "Prints what 'up' with the same options would do, and why. Changes nothing.",
  flags: {
    ...upFlags,
    format: text('Format the output: "text" or "json"', undefined, {
      completes: ["text", "json"],
    }),
  },
  args: ANY,
  run: async ({ context, flags, args }) => {
    const whole = await openProject(context, args);
    const project = { ...whole, model: withScale(whole.model, flags.scale) };
    const { stack } = await openStack(context, project, { isQuiet: true });
    using _owned = stack;
    const observed = await stack.observe();
    const options = upOptions(context, project, args, flags);
    const images = decideImagesUp(stack.model, observed, options);
    const containers = decideUp(stack.model, observed, options);
    const plan = { operations: [...images.operations, ...containers.operations] };
    if (flags.format === "json") {
      context.output.line(JSON.stringify(plan.operations, undefined, 2));
      return 0;
    }
    for (const line of planLines(plan, stack.model)) context.output.line(line);
    context.output.line(planSummary(plan));
    return 0;
  },
});
