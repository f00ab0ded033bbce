/** What forbids the removal of an image, in Docker's words and order. */
import type { ImageDependencies } from "#image/dependencies.ts";
import { NaruError } from "#lib/errors.ts";
import { type Digest, shortId } from "#spec/image/digest.ts";

/** Hard ones hold even against force. */
export type Conflict = "child" | "running container" | "reference" | "stopped container";

export const HARD: readonly Conflict[] = ["child", "running container"];
export const ALL: readonly Conflict[] = [...HARD, "reference", "stopped container"];

export interface FoundConflict {
  readonly kind: Conflict;
  readonly error: NaruError;
}

export const findConflict = (
  { rows, users }: Pick<ImageDependencies, "rows" | "users">,
  id: Digest,
  kinds: readonly Conflict[],
): FoundConflict | undefined => {
  const conflict = (kind: Conflict, reason: string): FoundConflict => {
    const force = HARD.includes(kind) ? "cannot be forced" : "must be forced";
    const message = `conflict: unable to delete ${shortId(id)} (${force}) - ${reason}`;
    return { kind, error: new NaruError("conflict", message) };
  };
  const containers = users.containersOf(id);
  if (kinds.includes("child") && rows.children(id).length > 0) {
    return conflict("child", "image has dependent child images");
  }
  const running = containers.find((container) => container.isRunning);
  if (kinds.includes("running container") && running !== undefined) {
    return conflict(
      "running container",
      `image is being used by running container ${running.id.slice(0, 12)}`,
    );
  }
  if (kinds.includes("reference") && rows.references(id).length > 0) {
    return conflict("reference", "image is referenced in multiple repositories");
  }
  const stopped = containers.find((container) => !container.isRunning);
  if (kinds.includes("stopped container") && stopped !== undefined) {
    return conflict(
      "stopped container",
      `image is being used by stopped container ${stopped.id.slice(0, 12)}`,
    );
  }
  return undefined;
};
