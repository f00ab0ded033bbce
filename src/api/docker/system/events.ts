/** GET /events: one JSON object a line, history first, then live until `until` or the client leaves. */
import type { Call } from "#api/docker/call.ts";
import { get, type Route } from "#api/docker/route.ts";
import { createEventFilter } from "#api/docker/system/event-filter.ts";
import { parseTime } from "#api/docker/time.ts";
import { hasCode, NaruError } from "#lib/errors.ts";
import type { EventMessage } from "#spec/docker/event.ts";

/** Old clients read these in place of Type, Action and Actor. */
const withLegacyFields = (event: EventMessage): EventMessage => {
  const { ID, Attributes } = event.Actor;
  if (event.Type === "container") {
    const from = Attributes["image"];
    return { status: event.Action, id: ID, ...(from === undefined ? {} : { from }), ...event };
  }
  if (event.Type === "image") return { status: event.Action, id: ID, ...event };
  return event;
};

const events = async (call: Call): Promise<void> => {
  const { query, signal } = call;
  const sinceNs = parseTime(query.text("since"), "since");
  const untilNs = parseTime(query.text("until"), "until");
  if (sinceNs !== undefined && untilNs !== undefined && untilNs < sinceNs) {
    throw new NaruError(
      "invalid_argument",
      `\`since\` time (${query.text("since")}) cannot be after \`until\` time (${query.text("until")})`,
    );
  }
  call.exchange.endsWithServer();
  // Unlike everywhere else a key that nobody knows is no error in Docker: clients send those of engines to come.
  const isWanted = createEventFilter(query.filters("any"));
  const source = call.backend.events.stream({
    ...(sinceNs === undefined ? {} : { sinceNs }),
    ...(untilNs === undefined ? {} : { untilNs }),
    signal,
  });
  const out = call.stream("application/json");
  try {
    for await (const event of source) {
      // Image create events exist since 1.46.
      if (call.minor < 46 && event.Type === "image" && event.Action === "create") continue;
      if (isWanted(event)) await out.write(`${JSON.stringify(withLegacyFields(event))}\n`);
    }
  } catch (error) {
    if (!hasCode(error, "canceled") && !signal.aborted) throw error;
  }
  out.end();
};

export const eventRoutes: readonly Route[] = [get("/events", events)];
