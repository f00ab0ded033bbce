import { defineCommand, TWO } from "#cli/framework/command.ts";
import { bool } from "#cli/framework/flags.ts";

export const command = defineCommand({
  usage: "[OPTIONS] NETWORK CONTAINER",
  flags: { force: bool("Force the container to disconnect from a network", "f") },
  args: TWO,
  completes: "networks",
  run: async ({ context, flags, args }) => {
    const [id = "", container = ""] = args;
    const client = await context.client();
    await client.call("networkDisconnect", {
      id,
      body: { Container: container, Force: flags.force },
    });
    return 0;
  },
});
