import { readContext } from "#client/contexts.ts";
import { defineCommand, ONE } from "#cli/framework/command.ts";
import { editConfig } from "#cli/registry/config-file.ts";

export const command = defineCommand({
  usage: "CONTEXT",
  flags: {},
  args: ONE,
  completes: "contexts",
  run: async ({ context, args }) => {
    const [name = ""] = args;
    if (name !== "default") await readContext(context.configFolder, name);
    await editConfig(context, ({ currentContext: _before, ...rest }) =>
      name === "default" ? rest : { ...rest, currentContext: name },
    );
    context.output.line(name);
    context.output.error(`Current context is now "${name}"`);
    const overriding = ["NARU_HOST", "DOCKER_HOST"].find((one) => (context.env[one] ?? "") !== "");
    if (name !== "default" && overriding !== undefined) {
      context.output.error(
        `Warning: ${overriding} environment variable overrides the active context. To use "${name}", ` +
          `either set the global --context flag, or unset ${overriding} environment variable.`,
      );
    }
    return 0;
  },
});
