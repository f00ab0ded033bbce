/** Docker Engine API: one line of GET /events (wire spelling kept). */
export type EventType =
  | "container"
  | "image"
  | "volume"
  | "network"
  | "daemon"
  | "builder"
  | "plugin";

export interface EventMessage {
  /** Only for containers and images, for old clients. */
  status?: string;
  id?: string;
  from?: string;
  Type: EventType;
  Action: string;
  Actor: { ID: string; Attributes: Record<string, string> };
  scope: "local";
  /** Seconds since the epoch, and nanoseconds since the epoch. */
  time: number;
  timeNano: number;
}
