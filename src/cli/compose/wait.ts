import { chooseContainers } from "#cli/compose/chosen.ts";
import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { bool } from "#cli/framework/flags.ts";
import { NaruError } from "#lib/errors.ts";

export const command = defineCommand({
  usage: "[OPTIONS] SERVICE [SERVICE...]",
  flags: { "down-project": bool("Bring the project down when the first one has stopped") },
  args: AT_LEAST_ONE,
  run: async ({ context, flags, args }) => {
    const { stack, containers } = await chooseContainers(context, args);
    using _owned = stack;
    if (containers.length === 0) {
      throw new NaruError("not_found", `no containers of ${args.join(", ")} to wait for`);
    }
    const waits = containers.map(async ({ id }) => {
      const { StatusCode } = await stack.options.client.call("containerWait", { id });
      return { id, code: StatusCode };
    });
    const results = flags["down-project"] ? [await Promise.race(waits)] : await Promise.all(waits);
    for (const { id, code } of results) {
      context.output.line(`container "${id}" exited with status code ${String(code)}`);
    }
    if (flags["down-project"]) {
      const [{ command: down }, { delegate }] = await Promise.all([
        import("#cli/compose/down.ts"),
        import("#cli/compose/delegate.ts"),
      ]);
      await delegate(context, down, []);
    }
    return results.at(-1)?.code ?? 0;
  },
});
