import { defineCommand, ONE } from "#cli/framework/command.ts";
import { bool, enabled, text } from "#cli/framework/flags.ts";
import { joinContainer } from "#cli/container/attach-running.ts";
import { NaruError } from "#lib/errors.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER",
  flags: {
    "detach-keys": text("Override the key sequence for detaching a container"),
    "no-stdin": bool("Do not attach STDIN"),
    "sig-proxy": enabled("Proxy all received signals to the process"),
  },
  args: ONE,
  completes: "running",
  run: async ({ context, flags, args }) => {
    const [id = ""] = args;
    const client = await context.client();
    const container = await client.call("containerInspect", { id });
    const { Running, Paused, Restarting } = container.State;
    if (!Running) {
      throw new NaruError("conflict", "You cannot attach to a stopped container, start it first");
    }
    if (Paused)
      throw new NaruError("conflict", "You cannot attach to a paused container, unpause it first");
    if (Restarting) {
      throw new NaruError(
        "conflict",
        "You cannot attach to a restarting container, wait until it is running",
      );
    }
    return joinContainer({
      context,
      client,
      container,
      hasInput: !flags["no-stdin"],
      hasSignalProxy: flags["sig-proxy"],
      detachKeys: flags["detach-keys"],
    });
  },
});
