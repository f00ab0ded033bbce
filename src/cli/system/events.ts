import { jsonLines } from "#client/progress.ts";
import { parseMoment } from "#cli/format/moment.ts";
import { defineCommand, NONE } from "#cli/framework/command.ts";
import { filter, format, text } from "#cli/framework/flags.ts";
import { evaluate } from "#cli/template/evaluate.ts";
import { parseTemplate } from "#cli/template/parser.ts";
import type { EventMessage } from "#spec/docker/event.ts";

const instant = (event: EventMessage): string => {
  const date = new Date(event.time * 1000);
  const nanoseconds = String(event.timeNano).slice(-9).padStart(9, "0");
  const offset = -date.getTimezoneOffset();
  const local = new Date(date.getTime() + offset * 60_000).toISOString().slice(0, 19);
  if (offset === 0) return `${local}.${nanoseconds}Z`;
  const two = (value: number): string => String(Math.trunc(value)).padStart(2, "0");
  const zone = `${offset < 0 ? "-" : "+"}${two(Math.abs(offset) / 60)}:${two(Math.abs(offset) % 60)}`;
  return `${local}.${nanoseconds}${zone}`;
};

/** One line, as docker writes events. */
export const formatEvent = (event: EventMessage): string => {
  const attributes = Object.entries(event.Actor.Attributes ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .toSorted();
  const suffix = attributes.length === 0 ? "" : ` (${attributes.join(", ")})`;
  return `${instant(event)} ${event.Type} ${event.Action} ${event.Actor.ID}${suffix}`;
};

/** The event as the engine sent it for `{{json .}}`; templates find its fields by their names in Go too. */
const templateData = (event: EventMessage): Record<string, unknown> =>
  Object.defineProperties(
    { ...event },
    {
      ID: { value: event.Actor.ID },
      Status: { value: event.status ?? event.Action },
      From: { value: event.from ?? "" },
      Time: { value: event.time },
      TimeNano: { value: event.timeNano },
      Scope: { value: event.scope },
    },
  );

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: {
    filter: filter(),
    format: format('Format output: "json" or a Go template'),
    since: text("Show all events created since timestamp"),
    until: text("Stream events until this timestamp"),
  },
  args: NONE,
  run: async ({ context, flags }) => {
    const client = await context.client();
    const isJson = flags.format === "json";
    const nodes = flags.format === undefined || isJson ? undefined : parseTemplate(flags.format);
    const response = await client.call("events", {
      query: {
        since: flags.since === undefined ? undefined : parseMoment(flags.since),
        until: flags.until === undefined ? undefined : parseMoment(flags.until),
        ...(Object.keys(flags.filter).length > 0 ? { filters: flags.filter } : {}),
      },
    });
    for await (const event of jsonLines<EventMessage>(response.body)) {
      const line = isJson
        ? JSON.stringify(event)
        : nodes === undefined
          ? formatEvent(event)
          : evaluate(nodes, templateData(event));
      await context.output.write("stdout", `${line}\n`);
    }
    return 0;
  },
});
