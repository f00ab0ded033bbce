/**
 * Which events a watcher wants. Filters of different keys must all hold, values of one key are
 * alternatives, labels must all hold; names match by prefix as well as exactly, as Docker's do.
 */
import { NaruError } from "#lib/errors.ts";
import type { EventMessage } from "#spec/docker/event.ts";
import { type Filters, matchesAny, matchesLabels } from "#spec/docker/filters.ts";
import { familiarName, parseReference } from "#spec/image/reference.ts";

/** Keys that name an actor, whatever the event's own type. */
const ACTOR_KEYS = [
  "config",
  "container",
  "daemon",
  "network",
  "node",
  "plugin",
  "secret",
  "service",
  "volume",
];
/** Their actions carry more after a colon: "health_status: healthy", "exec_start: sh". */
const OPEN_ACTIONS = new Set(["health_status", "exec_create", "exec_start"]);

const withoutTag = (image: string): string => {
  try {
    return familiarName(parseReference(image));
  } catch (error) {
    if (error instanceof NaruError) return image;
    throw error;
  }
};

const imageNames = (event: EventMessage): string[] => {
  const { ID, Attributes } = event.Actor;
  const name = Attributes[event.Type === "image" ? "name" : "image"];
  const given = name === undefined ? [ID] : [ID, name];
  return [...given, ...given.map(withoutTag)];
};

export type EventFilter = (event: EventMessage) => boolean;

export const createEventFilter = (filters: Filters): EventFilter => {
  if (filters.size === 0) return () => true;
  const isActionOpen = (filters.get("event") ?? []).some((value) => OPEN_ACTIONS.has(value));
  const isAction = (event: EventMessage) => (value: string) =>
    event.Action === value || (isActionOpen && event.Action.startsWith(value));
  return (event) => {
    const { ID, Attributes } = event.Actor;
    const name = Attributes["name"] ?? "";
    return (
      matchesAny(filters, "type", (value) => value === event.Type) &&
      matchesAny(filters, "event", isAction(event)) &&
      matchesAny(filters, "scope", (value) => value === event.scope) &&
      ACTOR_KEYS.every((key) =>
        matchesAny(filters, key, (value) => ID.startsWith(value) || name.startsWith(value)),
      ) &&
      (!filters.has("image") ||
        matchesAny(filters, "image", (value) => imageNames(event).includes(value))) &&
      matchesLabels(filters, Attributes)
    );
  };
};
