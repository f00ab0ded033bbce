/** The policy's file as a value. Pure. */
import { isAbsolute, join } from "node:path";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { longestPrefix, wholePrefixes } from "#spec/image/prefix.ts";
import type { TrustAction, TrustPolicy, TrustRule, Verdict } from "#trust/trust.ts";

const ACTIONS: readonly TrustAction[] = ["allow", "block", "signed"];
const EVERYTHING = "*";
const ALLOWED: TrustRule = { action: "allow", keys: [], reason: undefined };

const isText = (value: unknown): value is string => typeof value === "string" && value !== "";
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Throws failed_precondition: whoever asks now has done nothing wrong. */
export const wrongPolicy = (path: string, what: string, cause?: unknown): NaruError =>
  new NaruError(
    "failed_precondition",
    `trust policy "${path}": ${what}; until it is put right no image can be pulled or run`,
    cause === undefined ? {} : { cause },
  );

const checkKeys = (
  where: string,
  object: Record<string, unknown>,
  known: readonly string[],
  refuse: (what: string) => never,
): void => {
  const unknown = Object.keys(object).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    refuse(`${where}unknown key "${unknown}" (known: ${known.join(", ")})`);
  }
};

const parseRule = (
  prefix: string,
  value: unknown,
  folder: string,
  refuse: (what: string) => never,
): TrustRule => {
  const where = `"rules": "${prefix}": `;
  if (!isObject(value)) return refuse(`${where}a rule must be an object`);
  checkKeys(where, value, ["action", "keys", "reason"], refuse);
  const { keys = [], reason } = value;
  const action = ACTIONS.find((one) => one === value["action"]);
  if (action === undefined) {
    return refuse(`${where}"action" must be one of ${ACTIONS.join(", ")}`);
  }
  if (!Array.isArray(keys) || !keys.every(isText)) {
    return refuse(`${where}"keys" must be a list of files with public keys`);
  }
  if ((action === "signed") !== keys.length > 0) {
    return refuse(`${where}"keys" belong to the action "signed", which needs at least one`);
  }
  if (reason !== undefined && !isText(reason)) return refuse(`${where}"reason" must be a text`);
  const paths = keys.map((key) => (isAbsolute(key) ? key : join(folder, key)));
  return { action, keys: paths, reason };
};

const checkPrefix = (prefix: string, refuse: (what: string) => never): void => {
  if (prefix === EVERYTHING) return;
  try {
    wholePrefixes(prefix);
    if (!/[@]|:[^/]*[a-zA-Z][^/]*$/.test(prefix)) return;
  } catch (cause) {
    refuse(`"rules": "${prefix}" is no prefix of names: ${toNaruError(cause).message}`);
  }
  refuse(`"rules": "${prefix}": a prefix has neither tag nor digest`);
};

/** `path`: for errors. Keys are looked for from `folder` on. */
export const parsePolicy = (text: string, path: string, folder: string): TrustPolicy => {
  const refuse = (what: string, cause?: unknown): never => {
    throw wrongPolicy(path, what, cause);
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    refuse(`it is no JSON (${cause instanceof Error ? cause.message : String(cause)})`, cause);
  }
  if (!isObject(value)) return refuse("it must be an object");
  checkKeys("", value, ["rules"], refuse);
  const { rules = {} } = value;
  if (!isObject(rules)) return refuse('"rules" must be an object, by prefix');
  for (const prefix of Object.keys(rules)) checkPrefix(prefix, refuse);
  return {
    rules: Object.fromEntries(
      Object.entries(rules).map(([prefix, rule]) => [
        prefix,
        parseRule(prefix, rule, folder, refuse),
      ]),
    ),
  };
};

/** What the policy says of a repository ("docker.io/library/alpine"). */
export const verdictOf = (policy: TrustPolicy | undefined, repository: string): Verdict => {
  const { [EVERYTHING]: everything, ...named } = policy?.rules ?? {};
  const found = longestPrefix(named, repository);
  if (found !== undefined) return { prefix: found.given, rule: found.rule };
  return everything === undefined
    ? { prefix: undefined, rule: ALLOWED }
    : { prefix: EVERYTHING, rule: everything };
};
