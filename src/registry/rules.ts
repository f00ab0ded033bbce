/** What an operator lays down for repositories: matched by glob patterns, decided without I/O. */

/** "*" is anything but "/", "**" anything. */
export const compileGlob = (pattern: string): RegExp => {
  const source = pattern
    .split(/(\*\*|\*|\?)/)
    .map((part) => {
      if (part === "**") return ".*";
      if (part === "*") return "[^/]*";
      if (part === "?") return "[^/]";
      return part.replaceAll(/[.+^${}()|[\]\\]/g, "\\$&");
    })
    .join("");
  return new RegExp(`^${source}$`);
};

export interface ImmutableRule {
  readonly repositories: string;
  readonly tags: string;
}

export interface QuotaRule {
  readonly repositories: string;
  /** Of the distinct blobs of all repositories that match, together. */
  readonly maxBytes: number;
}

export interface RetentionRule {
  readonly repositories: string;
  /** Only these tags are looked at. */
  readonly tags: string;
  /** The newest so many stay. */
  readonly keepLast?: number;
  /** Those pushed within so many days stay. */
  readonly keepDays?: number;
  /** Those stay whatever their age. */
  readonly keepTags?: readonly string[];
}

export interface RulesConfig {
  readonly immutable?: readonly ImmutableRule[];
  readonly quotas?: readonly QuotaRule[];
  readonly retention?: readonly RetentionRule[];
  /** Manifests and indexes some of whose parts are not here. */
  readonly allowsSparse?: boolean;
}

export interface Rules {
  readonly allowsSparse: boolean;
  readonly retention: readonly RetentionRule[];
  isImmutable(repository: string, tag: string): boolean;
  quotasOf(repository: string): readonly QuotaRule[];
}

export const createRules = (config: RulesConfig): Rules => {
  const immutable = (config.immutable ?? []).map((rule) => ({
    repositories: compileGlob(rule.repositories),
    tags: compileGlob(rule.tags),
  }));
  const quotas = (config.quotas ?? []).map((rule) => ({
    rule,
    repositories: compileGlob(rule.repositories),
  }));
  return {
    allowsSparse: config.allowsSparse ?? false,
    retention: config.retention ?? [],
    isImmutable: (repository, tag) =>
      immutable.some((rule) => rule.repositories.test(repository) && rule.tags.test(tag)),
    quotasOf: (repository) =>
      quotas.filter((quota) => quota.repositories.test(repository)).map((quota) => quota.rule),
  };
};
