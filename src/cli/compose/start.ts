import { eachContainer } from "#cli/compose/each-container.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { startContainer } from "#compose/containers.ts";
import { NaruError } from "#lib/errors.ts";

export const command = defineCommand({
  usage: "[SERVICE...]",
  flags: {},
  args: ANY,
  run: async ({ context, args }) => {
    await eachContainer(context, args, {
      words: ["Starting", "Started"],
      order: "dependencies",
      onChosen: (containers) => {
        const known = new Set(containers.map((container) => container.service));
        const missing = args.find((name) => !known.has(name));
        if (missing === undefined && containers.length > 0) return;
        const what = missing === undefined ? "the project" : `the service "${missing}"`;
        throw new NaruError(
          "not_found",
          `${what} has no container to start: 'naru compose up' makes them`,
        );
      },
      isMeant: (container) => container.state !== "running",
      act: (stack, container) => startContainer(stack, container.id, container.service),
    });
    return 0;
  },
});
