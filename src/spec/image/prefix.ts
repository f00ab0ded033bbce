/** Rules by prefix of names: "ghcr.io", "docker.io/team", "alpine". Pure. */
import { parseReference } from "#spec/image/reference.ts";

const HUB = "docker.io/";

/**
 * What a prefix stands for: "alpine" what it means everywhere, "ghcr.io" a registry, "docker.io/x" all images of x
 * and the official image. Throws for what is no name.
 */
export const wholePrefixes = (prefix: string): readonly string[] => {
  if (!prefix.includes("/") && (/[.:]/.test(prefix) || prefix === "localhost")) return [prefix];
  const { domain, path } = parseReference(prefix);
  const whole = `${domain}/${path}`;
  return prefix.startsWith(HUB) && whole !== prefix ? [prefix, whole] : [whole];
};

/**
 * The rule with the longest prefix of `repository` ("docker.io/library/alpine"), whole parts only.
 * `given` is the prefix as it was written, `prefix` the whole one.
 */
export const longestPrefix = <Rule>(
  rules: Readonly<Record<string, Rule>>,
  repository: string,
): { readonly given: string; readonly prefix: string; readonly rule: Rule } | undefined => {
  let best: { given: string; prefix: string; rule: Rule } | undefined;
  for (const [given, rule] of Object.entries(rules)) {
    for (const prefix of wholePrefixes(given)) {
      if (repository !== prefix && !repository.startsWith(`${prefix}/`)) continue;
      if (best === undefined || prefix.length > best.prefix.length) best = { given, prefix, rule };
    }
  }
  return best;
};
