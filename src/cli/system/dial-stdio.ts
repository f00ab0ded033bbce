import { defineCommand, NONE } from "#cli/framework/command.ts";
import { pipedInput } from "#cli/terminal/stdin.ts";
import { hasCode } from "#lib/errors.ts";

export const command = defineCommand({
  usage: "",
  flags: {},
  args: NONE,
  description: "Joins standard input and output to the engine's socket, for clients behind ssh.",
  run: async ({ context }) => {
    const connection = await context.connect();
    const send = async (): Promise<void> => {
      for await (const chunk of pipedInput()) await connection.write(chunk);
      await connection.shutdown();
    };
    send().catch((error: unknown) => {
      // The engine may close before it has read everything.
      if (!hasCode(error, "unavailable")) context.output.error(String(error));
    });
    for (
      let chunk = await connection.read();
      chunk !== undefined;
      chunk = await connection.read()
    ) {
      await context.output.write("stdout", chunk);
    }
    return 0;
  },
});
