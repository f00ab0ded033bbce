/** What the daemon's options say about builds, as the build room wants it. */
import type { Entitlement } from "#build/entitlements.ts";
import { type OptionValues, invalid } from "#daemon/option-values.ts";

/** The words of the config file, and what they are without one. */
const KEYS: Readonly<
  Record<string, { readonly entitlement: Entitlement; readonly isGiven: boolean }>
> = {
  "network-host": { entitlement: "network.host", isGiven: true },
  "security-insecure": { entitlement: "security.insecure", isGiven: false },
};

const objectOf = (where: string, value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : invalid(`${where} must be an object`);

/** `builder.entitlements`, dockerd's key and defaults. Throws invalid_argument. */
export const buildEntitlementsOf = (values: OptionValues): ReadonlySet<Entitlement> => {
  const { entitlements = {}, ...rest } = objectOf('"builder"', values.get("builder") ?? {});
  const other = Object.keys(rest)[0];
  if (other !== undefined) {
    const remedy =
      other === "gc" ? "use --disk-budget, which bounds the build cache too" : "remove it";
    return invalid(`"builder": "${other}" is not supported: ${remedy}`);
  }
  const given = objectOf('"builder": "entitlements"', entitlements);
  for (const [key, value] of Object.entries(given)) {
    if (!Object.hasOwn(KEYS, key)) {
      const known = Object.keys(KEYS).join(" and ");
      return invalid(`"builder": "entitlements": unknown key "${key}": there are ${known}`);
    }
    if (typeof value !== "boolean") {
      return invalid(`"builder": "entitlements": "${key}" must be true or false`);
    }
  }
  const granted = Object.entries(KEYS).filter(([key, { isGiven }]) => given[key] ?? isGiven);
  return new Set(granted.map(([, { entitlement }]) => entitlement));
};
