/** What retention removed, as the observers are told of it. */
import type { RegistryEvent } from "#registry/observer.ts";
import type { RetentionReport } from "#registry/retention-run.ts";

/** Who asked for it; a user's name has no colon. */
export type Asker = Pick<
  RegistryEvent,
  "actor" | "remoteAddress" | "method" | "host" | "userAgent"
>;

export const BY_ITSELF: Asker = {
  actor: "naru:retention",
  remoteAddress: "",
  method: "",
  host: "",
  userAgent: "",
};

export const retentionEvents = (
  { removed }: RetentionReport,
  asker: Asker,
): readonly RegistryEvent[] =>
  removed.map(({ repository, tag }) => ({
    ...asker,
    action: "delete",
    kind: "tag",
    repository,
    tags: [tag],
  }));
