/** What config.json holds, field by field: what has another shape than it should is left out and told. Pure. */
import type { ConfigFile } from "#cli/context.ts";

export interface ShapedConfig {
  readonly config: ConfigFile;
  /** "HttpHeaders is not an object of texts". */
  readonly faults: readonly string[];
}

type Fields = Record<string, unknown>;

const TEXTS = [
  "detachKeys",
  "psFormat",
  "imagesFormat",
  "networksFormat",
  "volumesFormat",
  "statsFormat",
  "currentContext",
  "credsStore",
];
const MAPS = ["HttpHeaders", "credHelpers"];
/** "name:password" in base64; empty where a helper has it. */
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isText = (value: unknown): boolean => typeof value === "string";

const faultOfEntry = (entry: unknown): string | undefined => {
  if (!isObject(entry)) return "is not an object";
  const wrong = ["auth", "username", "password", "identitytoken"].find(
    (field) => (entry[field] ?? "") !== "" && !isText(entry[field]),
  );
  if (wrong !== undefined) return `has "${wrong}", which is no text`;
  const stored = entry["auth"];
  const auth = typeof stored === "string" ? stored.trim() : "";
  if (auth === "") return undefined;
  const isGood = BASE64.test(auth) && Buffer.from(auth, "base64").includes(":");
  return isGood ? undefined : 'has an "auth" that is not base64 of name:password';
};

/** `value`: what the file's JSON says; undefined for a file that is no JSON. */
export const shapeConfig = (value: unknown): ShapedConfig => {
  if (!isObject(value)) return { config: {}, faults: ["it is not a JSON object"] };
  const faults: string[] = [];
  const kept: Fields = { ...value };
  const drop = (field: string, fault: string): void => {
    faults.push(`${field} ${fault}`);
    delete kept[field];
  };
  for (const [field, one] of Object.entries(value)) {
    if (one === null) delete kept[field];
    else if (TEXTS.includes(field) && !isText(one)) drop(field, "is no text");
    else if ((field === "auths" || field === "proxies") && !isObject(one)) {
      drop(field, "is not an object");
    } else if (MAPS.includes(field) && !(isObject(one) && Object.values(one).every(isText))) {
      drop(field, "is not an object of texts");
    }
  }
  const auths = kept["auths"];
  if (isObject(auths)) {
    const good = Object.entries(auths).filter(([name, entry]) => {
      const fault = faultOfEntry(entry);
      if (fault !== undefined) faults.push(`auths["${name}"] ${fault}`);
      return fault === undefined;
    });
    kept["auths"] = Object.fromEntries(good);
  }
  return { config: kept, faults };
};
