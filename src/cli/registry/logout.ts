import { defineCommand, upTo } from "#cli/framework/command.ts";
import { HUB_KEY, eraseCredentials, keyOf } from "#cli/registry/credentials.ts";

export const command = defineCommand({
  usage: "[SERVER]",
  description: "Forget the credentials for a registry. Docker Hub when no server is named.",
  flags: {},
  args: upTo(1),
  run: async ({ context, args }) => {
    const key = args[0] === undefined ? HUB_KEY : keyOf(args[0]);
    const isForgotten = await eraseCredentials(context, key);
    context.output.line(
      isForgotten ? `Removing login credentials for ${key}` : `Not logged in to ${key}`,
    );
    return 0;
  },
});
