/** naru's own header: removals of one command say so, and `naru undo` brings them back together. */
import type { Call } from "#api/docker/call.ts";
import { NaruError } from "#lib/errors.ts";

const HEADER = "naru-batch";

/** Empty where the client says nothing: then each request is a removal of its own. */
export const removalBatch = (call: Call): { readonly batch?: string } => {
  const batch = call.field(HEADER);
  if (batch === undefined) return {};
  if (!/^[0-9a-f]{12}$/.test(batch)) {
    throw new NaruError(
      "invalid_argument",
      `the header Naru-Batch is not 12 hex digits: "${batch}"`,
    );
  }
  return { batch };
};
