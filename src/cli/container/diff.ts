import { defineCommand, ONE } from "#cli/framework/command.ts";

const LETTERS = { 0: "C", 1: "A", 2: "D" } as const;

export const command = defineCommand({
  usage: "CONTAINER",
  flags: {},
  args: ONE,
  completes: "containers",
  run: async ({ context, args }) => {
    const [id = ""] = args;
    const client = await context.client();
    const changes = await client.call("containerChanges", { id });
    for (const { Kind, Path } of changes ?? []) context.output.line(`${LETTERS[Kind]} ${Path}`);
    return 0;
  },
});
