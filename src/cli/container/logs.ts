import { defineCommand, ONE } from "#cli/framework/command.ts";
import { bool, text } from "#cli/framework/flags.ts";
import { parseMoment } from "#cli/format/moment.ts";
import { demultiplex } from "#client/stream.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER",
  flags: {
    details: bool("Show extra details provided to logs"),
    follow: bool("Follow log output", "f"),
    since: text('Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m")'),
    tail: text("Number of lines to show from the end of the logs", "n", { shownDefault: '"all"' }),
    timestamps: bool("Show timestamps", "t"),
    until: text(
      'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m")',
    ),
  },
  args: ONE,
  completes: "containers",
  run: async ({ context, flags, args }) => {
    const [id = ""] = args;
    const client = await context.client();
    const [container, response] = await Promise.all([
      client.call("containerInspect", { id }),
      client.call("containerLogs", {
        id,
        query: {
          stdout: true,
          stderr: true,
          follow: flags.follow,
          timestamps: flags.timestamps,
          details: flags.details,
          tail: flags.tail ?? "all",
          since: flags.since === undefined ? undefined : parseMoment(flags.since),
          until: flags.until === undefined ? undefined : parseMoment(flags.until),
        },
      }),
    ]);
    if (container.Config.Tty) {
      for await (const chunk of response.body) await context.output.write("stdout", chunk);
    } else {
      for await (const { stream, bytes } of demultiplex(response.body)) {
        await context.output.write(stream === "stderr" ? "stderr" : "stdout", bytes);
      }
    }
    return 0;
  },
});
