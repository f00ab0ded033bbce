/**
 * What a build may be granted beyond an ordinary container's rights: the entitlements of BuildKit, in its words. The
 * client asks for them (`--allow`), the daemon's configuration says which ones there are to be had
 * (`"builder": {"entitlements": …}`, as dockerd's).
 */
import { NaruError } from "#lib/errors.ts";

export type Entitlement =
  /** Steps may use the host's network. */
  | "network.host"
  /** Steps may ask to run as a privileged container does: every capability and device, no filter. */
  | "security.insecure";

export const ENTITLEMENTS: readonly Entitlement[] = ["network.host", "security.insecure"];

/** Throws invalid_argument for what is none, permission_denied for what this daemon grants to nobody. */
export const checkEntitlements = (
  asked: readonly string[],
  grantable: ReadonlySet<Entitlement>,
): Entitlement[] =>
  asked.map((name) => {
    const entitlement = ENTITLEMENTS.find((one) => one === name);
    if (entitlement === undefined) {
      const known = ENTITLEMENTS.join(", ");
      throw new NaruError("invalid_argument", `unknown entitlement "${name}": there are ${known}`);
    }
    if (grantable.has(entitlement)) return entitlement;
    const key = entitlement.replace(".", "-");
    throw new NaruError(
      "permission_denied",
      `granting entitlement ${entitlement} is not allowed by build daemon configuration: set {"builder": {"entitlements": {"${key}": true}}} in the daemon's config file`,
    );
  });
