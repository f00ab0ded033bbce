/** Lets through who may, and tells the others how. */
import type { DistributionBackend } from "#api/distribution/backend.ts";
import type { Exchange } from "#api/http/exchange.ts";
import type { Identity, Wanted } from "#registry/access/access.ts";
import { distributionError } from "#spec/distribution/errors.ts";

/** Throws UNAUTHORIZED with the way to log in, or DENIED for who has. */
export const checkAccess = (
  { access, observer }: Pick<DistributionBackend, "access" | "observer">,
  exchange: Exchange,
  identity: Identity,
  wanted: Wanted,
): void => {
  if (access.mayDo(identity, wanted)) return;
  const { head, remoteAddress } = exchange;
  observer.event({
    action: "denied",
    kind: "other",
    repository: wanted.repository,
    actor: identity.name,
    remoteAddress,
    method: head.method,
    host: head.fields.get("host") ?? "",
    userAgent: head.fields.get("user-agent") ?? "",
  });
  const what = wanted.repository === "" ? wanted.action : `${wanted.action} "${wanted.repository}"`;
  if (access.challenge !== undefined && (identity.name === "" || identity.granted !== undefined)) {
    throw distributionError("UNAUTHORIZED", `log in to ${what}`, {
      details: { challenge: access.challenge([wanted], head.fields.get("host") ?? "") },
    });
  }
  throw distributionError("DENIED", `${identity.name || "anonymous"} may not ${what}`);
};
