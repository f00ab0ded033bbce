/** The part of the registry's configuration that says who may do what, and who is told of it. */
import type { Action } from "#registry/access/access.ts";
import type { AccessRule } from "#registry/access/rules.ts";
import type { RegistryAction } from "#registry/observer.ts";
import type { WebhookTarget } from "#registry/observe/webhooks.ts";
import { type Fields, asWrong } from "#daemon/registry/fields.ts";

export type TokenConfig =
  | {
      readonly kind: "own";
      readonly service: string;
      readonly expirySeconds: number;
      /** "https://registry.example.com", where a proxy stands in front; undefined: what the client asked for. */
      readonly publicUrl: string | undefined;
    }
  | {
      readonly kind: "external";
      readonly realm: string;
      readonly service: string;
      readonly issuer: string;
      readonly keysPath: string;
    };

export interface AccessConfig {
  readonly rules: readonly AccessRule[];
  readonly groups: Readonly<Record<string, readonly string[]>>;
  readonly token: TokenConfig | undefined;
}

export interface ObserveConfig {
  readonly audit: { readonly path: string; readonly hasPulls: boolean } | undefined;
  readonly webhooks: readonly WebhookTarget[];
  readonly isMetricsOpen: boolean;
}

const ACTIONS: readonly Action[] = ["pull", "push", "delete", "catalog", "admin"];
const EVENTS: readonly RegistryAction[] = ["pull", "push", "mount", "delete", "denied"];
const DEFAULT_SERVICE = "naru-registry";
const DEFAULT_EXPIRY_SECONDS = 300;
const EXPIRY_BOUNDS = { least: 1, most: 365 * 86_400 };
const DEFAULT_WEBHOOK_TIMEOUT_SECONDS = 5;
const WEBHOOK_TIMEOUT_BOUNDS = { least: 0.1, most: 3600 };

/** Throws for words that are not in `known`. */
const wordsOf = <T extends string>(
  fields: Fields,
  key: string,
  words: readonly string[],
  known: readonly T[],
): T[] =>
  words.map((word) => {
    const found = known.find((candidate) => candidate === word);
    if (found === undefined) {
      throw asWrong(fields.where, `"${key}" knows ${known.join(", ")}, not "${word}"`);
    }
    return found;
  });

const actionsOf = (fields: Fields, words: readonly string[]): readonly Action[] => {
  const known = wordsOf(fields, "actions", words, [...ACTIONS, "*"] as const);
  const named = known.filter((word) => word !== "*");
  return named.length === known.length ? named : ACTIONS;
};

const ruleOf = (fields: Fields): AccessRule => {
  const actions = fields.strings("actions") ?? [];
  const users = fields.strings("users") ?? [];
  if (actions.length === 0 || users.length === 0) {
    throw asWrong(fields.where, '"users" and "actions" must name somebody and something');
  }
  return {
    repositories: fields.string("repositories") ?? "**",
    users,
    actions: actionsOf(fields, actions),
    ...fields.done(),
  };
};

const urlOf = (fields: Fields, key: string, url: string): string => {
  if (/^https?:$/.test(URL.parse(url)?.protocol ?? "")) return url;
  throw asWrong(fields.where, `"${key}" must begin with http:// or https://, not "${url}"`);
};

const tokenOf = (fields: Fields): TokenConfig => {
  const service = fields.string("service") ?? DEFAULT_SERVICE;
  const realm = fields.string("realm");
  if (realm !== undefined) {
    const token = {
      kind: "external" as const,
      realm: urlOf(fields, "realm", realm),
      service,
      issuer: fields.need("issuer"),
      keysPath: fields.need("keys"),
    };
    return { ...token, ...fields.done() };
  }
  const publicUrl = fields.string("public-url");
  const token = {
    kind: "own" as const,
    service,
    expirySeconds: fields.count("expiry-seconds", EXPIRY_BOUNDS) ?? DEFAULT_EXPIRY_SECONDS,
    publicUrl:
      publicUrl === undefined
        ? undefined
        : urlOf(fields, "public-url", publicUrl).replace(/\/+$/, ""),
  };
  return { ...token, ...fields.done() };
};

const groupsOf = (fields: Fields | undefined): Record<string, readonly string[]> => {
  const groups: Record<string, readonly string[]> = {};
  for (const name of fields?.keys() ?? []) groups[name] = fields?.strings(name) ?? [];
  return groups;
};

export const accessConfigOf = (fields: Fields): AccessConfig => {
  const token = fields.object("token");
  const groups = groupsOf(fields.object("groups"));
  const rules = fields.list("access").map(ruleOf);
  for (const [index, { users }] of rules.entries()) {
    const unknown = users.find(
      (user) => user.startsWith("@") && groups[user.slice(1)] === undefined,
    );
    if (unknown !== undefined) {
      throw asWrong(fields.where, `access[${index}]: "groups" has no "${unknown.slice(1)}"`);
    }
  }
  return { rules, groups, token: token === undefined ? undefined : tokenOf(token) };
};

/** RFC 9110 §5.1, §5.5. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

const headersOf = (fields: Fields | undefined): Record<string, string> => {
  const headers: Record<string, string> = {};
  for (const name of fields?.keys() ?? []) {
    const value = fields?.string(name) ?? "";
    if (!HEADER_NAME.test(name) || !HEADER_VALUE.test(value)) {
      throw asWrong(
        fields?.where ?? "",
        `${JSON.stringify(name)} cannot be sent as a header field`,
      );
    }
    headers[name] = value;
  }
  return headers;
};

const webhookOf = (fields: Fields): WebhookTarget => {
  const url = urlOf(fields, "url", fields.need("url"));
  const actions = wordsOf(fields, "actions", fields.strings("actions") ?? [], EVENTS);
  const timeoutSeconds =
    fields.number("timeout-seconds", WEBHOOK_TIMEOUT_BOUNDS) ?? DEFAULT_WEBHOOK_TIMEOUT_SECONDS;
  const headers = headersOf(fields.object("headers"));
  return { url, headers, actions, timeoutMs: timeoutSeconds * 1000, ...fields.done() };
};

export const observeConfigOf = (fields: Fields): ObserveConfig => {
  const audit = fields.object("audit");
  return {
    audit:
      audit === undefined
        ? undefined
        : { path: audit.need("path"), hasPulls: audit.flag("pulls") ?? false, ...audit.done() },
    webhooks: fields.list("webhooks").map(webhookOf),
    isMetricsOpen: fields.flag("open-metrics") ?? false,
  };
};
