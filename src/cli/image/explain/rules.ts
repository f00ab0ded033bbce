/**
 * What does not belong in an image: credentials, by file name and by content, and what package managers leave behind.
 * Pure. Says where a secret is and of which kind, never the secret.
 */

export interface SecretMark {
  /** "private key", "AWS access key". */
  readonly what: string;
  /** Line in the file, from 1; undefined: the file as a whole. */
  readonly line: number | undefined;
}

/** Files whose name alone says that they hold credentials. */
const SECRET_NAMES: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/(^|\/)\.git-credentials$/, "git credentials"],
  [/(^|\/)\.netrc$/, "netrc credentials"],
  [/(^|\/)\.pgpass$/, "PostgreSQL password file"],
  [/(^|\/)\.aws\/credentials$/, "AWS credentials"],
  [/(^|\/)\.vault-token$/, "Vault token"],
  [/(^|\/)\.ssh\/id_(rsa|dsa|ecdsa|ed25519)$/, "private SSH key"],
  [/\.(p12|pfx|jks|keystore)$/, "key store"],
];

/** What a text can hold. Patterns are anchored on what only a credential looks like. */
const SECRET_TEXTS: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/:=]/, "private key"],
  [/\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/, "AWS access key"],
  [/\baws_secret_access_key\s*[=:]\s*["']?[A-Za-z0-9/+]{40}\b/i, "AWS secret key"],
  [/^\s*(?:\/\/[^\s=]+:)?_(?:authToken|auth|password)\s*=\s*[^\s${]/m, "npm token"],
  [/\bnpm_[A-Za-z0-9]{36}\b/, "npm token"],
  [/\b(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{36,}\b|\bgithub_pat_\w{60,}/, "GitHub token"],
  [/\bglpat-[A-Za-z0-9_-]{20,}/, "GitLab token"],
  [/\bxox[abprs]-[A-Za-z0-9-]{10,}/, "Slack token"],
  [/\bAIza[0-9A-Za-z_-]{35}\b/, "Google API key"],
  [/\bsk_live_[0-9a-zA-Z]{24,}/, "Stripe key"],
  [/"auth"\s*:\s*"[A-Za-z0-9+/]{8,}={0,2}"/, "registry credentials"],
];

const SENSITIVE_NAME =
  /(?:^|_)(?:SECRET|TOKEN|PASSWORD|PASSWD|API_?KEY|PRIVATE_KEY|ACCESS_KEY|CREDENTIALS?)(?:_|$)/i;
const ASSIGNMENT = /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*["']?([^\s"'#]+)/;
/** Of a variable that names where the secret is, or is filled in later. */
const HARMLESS_VALUE = /^(?:\$|\/|<|changeme$|example|your|xxx|true$|false$|\d{1,4}$)|^$/i;
const HARMLESS_NAME = /_(?:FILE|PATH|URL|LENGTH|TTL|NAME)$/i;

const isEnvFile = (path: string): boolean =>
  /(^|\/)\.env(\.[\w.-]+)?$/.test(path) &&
  !/\.(example|sample|template|dist|defaults?)$/.test(path);

/** Manuals and programs' own test data show keys that open nothing. */
const isExample = (path: string): boolean =>
  /^usr\/share\/(doc|man|info)\/|(^|\/)(tests?|testdata|fixtures|__tests__|examples?)\//.test(path);

const lineAt = (text: string, index: number): number => {
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0 && at < index; at = text.indexOf("\n", at + 1))
    line += 1;
  return line;
};

/** A variable by name and value, as ENV, ARG or a line of a .env file has it. */
export const isSecretVariable = (name: string, value: string): boolean =>
  SENSITIVE_NAME.test(name) && !HARMLESS_NAME.test(name) && !HARMLESS_VALUE.test(value);

const envMarks = (text: string): SecretMark[] =>
  text.split("\n").flatMap((line, index) => {
    const [, name = "", value = ""] = ASSIGNMENT.exec(line) ?? [];
    if (!isSecretVariable(name, value)) return [];
    return [{ what: `variable ${name}`, line: index + 1 }];
  });

/** `path` without a leading slash; `text` undefined for files too large to be read. */
export const secretsIn = (path: string, text: string | undefined): readonly SecretMark[] => {
  if (isExample(path)) return [];
  const named = SECRET_NAMES.find(([pattern]) => pattern.test(path));
  if (named !== undefined && text !== "") return [{ what: named[1], line: undefined }];
  if (text === undefined || text.includes("\0")) return [];
  const marks = new Map<string, SecretMark>();
  for (const [pattern, what] of SECRET_TEXTS) {
    const found = pattern.exec(text);
    if (found !== null && !marks.has(what)) {
      marks.set(what, { what, line: lineAt(text, found.index) });
    }
  }
  if (isEnvFile(path)) for (const mark of envMarks(text)) marks.set(mark.what, mark);
  return [...marks.values()];
};

/** ENV and ARG values in an instruction as the history has it: build arguments stand in front of RUN. */
export const secretsInInstruction = (text: string): readonly string[] => {
  const found = new Set<string>();
  for (const [, name = "", quoted = "", plain = ""] of text.matchAll(
    /(?<![\w$])([A-Za-z_]\w*)=(?:"([^"]*)"|([^\s"']*))/g,
  )) {
    const isInstruction = /^(?:ENV|ARG)\s|^(?:RUN )?\|\d+\s|#\(nop\)\s+(?:ENV|ARG)\s/.test(text);
    if (isInstruction && isSecretVariable(name, quoted || plain)) found.add(name);
  }
  return [...found];
};

/** The instruction without their values. */
export const withoutSecrets = (text: string): string =>
  secretsInInstruction(text).reduce(
    (masked, name) =>
      masked.replaceAll(new RegExp(`(?<![\\w$])${name}=("[^"]*"|\\S*)`, "g"), `${name}=***`),
    text,
  );

export interface CacheRule {
  readonly what: string;
  readonly remedy: string;
}

const APT: CacheRule = {
  what: "apt package lists and archives",
  remedy: "rm -rf /var/lib/apt/lists/* in the same RUN, or a cache mount",
};
const TOOL: CacheRule = {
  what: "package manager's cache",
  remedy: "RUN --mount=type=cache,target=DIRECTORY",
};

const CACHES: readonly (readonly [pattern: RegExp, rule: CacheRule])[] = [
  [/^var\/lib\/apt\/lists\//, APT],
  [/^var\/cache\/apt\//, APT],
  [/^var\/cache\/(apk|dnf|yum|zypp|pacman)\//, TOOL],
  [/^var\/lib\/(dnf|yum)\/repos\//, TOOL],
  [/^(root|home\/[^/]+)\/\.cache\//, TOOL],
  [/^(root|home\/[^/]+)\/\.npm\/(_cacache|_logs)\//, TOOL],
  [/^(root|home\/[^/]+)\/\.(yarn|pnpm-store|bundle\/cache|composer\/cache)\//, TOOL],
  [
    /^(root|home\/[^/]+)\/\.(gradle\/caches|m2\/repository|cargo\/registry|nuget\/packages)\//,
    TOOL,
  ],
  [/^usr\/local\/share\/\.cache\//, TOOL],
  [/^(root\/)?go\/pkg\/mod\/cache\//, TOOL],
  [
    /^(var\/)?tmp\//,
    { what: "temporary files", remedy: "rm in the same RUN, or --mount=type=tmpfs" },
  ],
];

/** The cache that a file belongs to, and the directory that users know it by. */
export const cacheOf = (path: string): { rule: CacheRule; directory: string } | undefined => {
  for (const [pattern, rule] of CACHES) {
    const found = pattern.exec(path);
    if (found !== null) return { rule, directory: `/${found[0]}` };
  }
  return undefined;
};
