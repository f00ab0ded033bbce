import { findProject } from "#cli/compose/project.ts";
import { parseMoment } from "#cli/format/moment.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { bool, text } from "#cli/framework/flags.ts";
import { formatEvent } from "#cli/system/events.ts";
import { jsonLines } from "#client/progress.ts";
import { LABEL } from "#compose/labels.ts";
import type { EventMessage } from "#spec/docker/event.ts";

const asJson = (event: EventMessage): string => {
  const attributes = event.Actor.Attributes ?? {};
  const own = Object.entries(attributes).filter(([key]) => !key.startsWith("com.docker.compose."));
  return JSON.stringify({
    time: new Date(event.time * 1000).toISOString(),
    type: event.Type,
    action: event.Action,
    id: event.Actor.ID,
    service: attributes[LABEL.service] ?? "",
    attributes: Object.fromEntries(own),
  });
};

export const command = defineCommand({
  usage: "[OPTIONS] [SERVICE...]",
  flags: {
    json: bool("One JSON object a line"),
    since: text("Events since a moment or a time ago"),
    until: text("Events until a moment or a time ago"),
  },
  args: ANY,
  run: async ({ context, flags, args }) => {
    const { name } = await findProject(context);
    const client = await context.client();
    const response = await client.call("events", {
      query: {
        filters: { label: [`${LABEL.project}=${name}`] },
        since: flags.since === undefined ? undefined : parseMoment(flags.since),
        until: flags.until === undefined ? undefined : parseMoment(flags.until),
      },
    });
    for await (const event of jsonLines<EventMessage>(response.body)) {
      const service = event.Actor.Attributes?.[LABEL.service] ?? "";
      if (args.length > 0 && !args.includes(service)) continue;
      const line = flags.json ? asJson(event) : formatEvent(event);
      await context.output.write("stdout", `${line}\n`);
    }
    return 0;
  },
});
