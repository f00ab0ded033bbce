/** Images first, then containers: what up, create, run and watch share. */
import type { CliContext } from "#cli/context.ts";
import type { Screen } from "#cli/compose/screen.ts";
import type { UpOptions } from "#compose/decide.ts";
import { decideImagesUp, decideUp, orphansOf } from "#compose/decide.ts";
import type { Plan } from "#compose/compose.ts";
import type { Stack } from "#compose/stack.ts";

const needsAges = (stack: Stack): boolean =>
  Object.values(stack.model.services).some((service) =>
    /^(?:daily|weekly|every_)/.test(service.pull_policy ?? ""),
  );

const imageAges = async (stack: Stack): Promise<ReadonlyMap<string, number>> => {
  const { client } = stack.options;
  const names = [...stack.observed.images].filter(([, id]) => id !== undefined);
  const ages = await Promise.all(
    names.map(async ([name]): Promise<readonly [string, number]> => {
      const image = await client.call("imageInspect", { name });
      const tagged = Date.parse(image.Metadata.LastTagTime);
      return [name, (Date.now() - tagged) / 1000];
    }),
  );
  return new Map(ages.filter(([, age]) => Number.isFinite(age)));
};

const tellOrphans = (context: CliContext, stack: Stack, options: UpOptions): void => {
  const isIgnored = ["1", "true"].includes(context.env["COMPOSE_IGNORE_ORPHANS"] ?? "");
  if (options.hasOrphansRemoved || isIgnored) return;
  const orphans = orphansOf(stack.model, stack.observed, options.disabled);
  if (orphans.length === 0) return;
  const names = orphans.map((container) => container.name).join(", ");
  context.output.error(
    `warning: containers of services that are not in the files any more: ${names}; ` +
      "remove them with --remove-orphans",
  );
};

/** The plan that was carried out. */
export const bringUp = async (
  context: CliContext,
  stack: Stack,
  screen: Screen,
  options: UpOptions,
): Promise<Plan> => {
  await stack.observe();
  const ages = needsAges(stack) ? await imageAges(stack) : new Map<string, number>();
  const images = decideImagesUp(stack.model, stack.observed, { ...options, imageAges: ages });
  try {
    if (images.operations.length > 0) {
      await stack.run(images);
      await stack.observe();
    }
    tellOrphans(context, stack, options);
    const plan = decideUp(stack.model, stack.observed, options);
    for (const container of stack.observed.containers) {
      const isTold = options.targets.includes(container.service) && !container.isOneOff;
      if (!isTold || container.state !== "running") continue;
      screen.show({ subject: `Container ${container.name}`, status: "Running", phase: "done" });
    }
    await stack.run(plan);
    return plan;
  } finally {
    await screen.finish();
  }
};
