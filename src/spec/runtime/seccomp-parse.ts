/** Reads a seccomp profile file; every refusal names the field ("syscalls[3].args[0].op"). */
import { constants } from "node:os";
import { NaruError } from "#lib/errors.ts";
import { normalizeCapability } from "#spec/runtime/capabilities.ts";
import {
  type KernelVersion,
  SECCOMP_ACTIONS,
  SECCOMP_ARCHITECTURES,
  SECCOMP_FLAGS,
  SECCOMP_OPERATORS,
  type SeccompArchMapEntry,
  type SeccompArg,
  type SeccompFilter,
  type SeccompProfile,
  type SeccompRule,
} from "#spec/runtime/seccomp-profile.ts";

const MAX_ERRNO = 4095;
const MAX_UINT64 = (1n << 64n) - 1n;

const refuse = (field: string, reason: string, cause?: unknown): never => {
  throw new NaruError("invalid_argument", `seccomp profile: "${field}" ${reason}`, {
    details: { field },
    cause,
  });
};

type Json = Readonly<Record<string, unknown>>;

/** An object whose keys are all known: a misspelt "arg" would turn a condition into none. */
const object = (value: unknown, field: string, keys: readonly string[]): Json => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return refuse(field, "must be an object");
  }
  for (const key of Object.keys(value)) {
    if (key !== "comment" && key !== "$schema" && !keys.includes(key)) {
      refuse(field === "" ? key : `${field}.${key}`, "is no field of a seccomp profile");
    }
  }
  return value as Json;
};

const list = <T>(value: unknown, field: string, read: (item: unknown, field: string) => T): T[] => {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) return refuse(field, "must be a list");
  return value.map((item, index) => read(item, `${field}[${index}]`));
};

const string = (value: unknown, field: string): string =>
  typeof value === "string" && value !== "" ? value : refuse(field, "must be a non-empty string");

const oneOf =
  <T extends string>(words: readonly T[]) =>
  (value: unknown, field: string): T =>
    words.find((word) => word === value) ??
    refuse(field, `is ${JSON.stringify(value)}, must be one of ${words.join(", ")}`);

/** An absent or null field stays absent. */
const optional = <K extends string, T>(
  json: Json,
  key: K,
  field: string,
  read: (value: unknown, field: string) => T,
): { [P in K]?: T } => {
  const value = json[key];
  if (value === undefined || value === null) return {};
  const result: { [P in K]?: T } = {};
  result[key] = read(value, field);
  return result;
};

const errnoNumber = (value: unknown, field: string): number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= MAX_ERRNO
    ? value
    : refuse(field, `must be an errno from 0 to ${MAX_ERRNO}`);

const errnoName = (value: unknown, field: string): number => {
  const number = Object.entries(constants.errno).find(([name]) => name === value)?.[1];
  return number ?? refuse(field, `is ${JSON.stringify(value)}, which is no errno`);
};

/** Some profiles name the errno beside or instead of its number ("errno": "EPERM"). */
const errno = (
  json: Json,
  numberKey: string,
  nameKey: string,
  prefix: string,
): number | undefined =>
  optional(json, numberKey, prefix + numberKey, errnoNumber)[numberKey] ??
  (json[nameKey] === ""
    ? undefined
    : optional(json, nameKey, prefix + nameKey, errnoName)[nameKey]);

const uint64 = (value: unknown, field: string): bigint => {
  if (value === undefined || value === null) return 0n;
  const isInteger = typeof value === "bigint" || (typeof value === "number" && value % 1 === 0);
  const number = isInteger ? BigInt(value) : -1n;
  return number >= 0n && number <= MAX_UINT64
    ? number
    : refuse(field, "must be an unsigned 64-bit integer");
};

const arg = (value: unknown, field: string): SeccompArg => {
  const json = object(value, field, ["index", "value", "valueTwo", "op"]);
  const index = json["index"] ?? 0;
  if (typeof index !== "number" || !Number.isInteger(index) || index < 0 || index > 5) {
    return refuse(`${field}.index`, "must be an argument's number from 0 to 5");
  }
  return {
    index,
    value: uint64(json["value"], `${field}.value`),
    valueTwo: uint64(json["valueTwo"], `${field}.valueTwo`),
    op: oneOf(SECCOMP_OPERATORS)(json["op"], `${field}.op`),
  };
};

const kernel = (value: unknown, field: string): KernelVersion => {
  const match = typeof value === "string" ? /^(\d{1,3})\.(\d{1,3})$/.exec(value) : null;
  return match === null
    ? refuse(field, 'must be a kernel as "<kernel>.<major>", for example "4.8"')
    : [Number(match[1]), Number(match[2])];
};

const capability = (value: unknown, field: string): string => {
  const name = string(value, field);
  try {
    return normalizeCapability(name);
  } catch (error) {
    return refuse(field, `is "${name}", which is no capability`, error);
  }
};

const filter = (value: unknown, field: string): SeccompFilter => {
  const json = object(value, field, ["caps", "arches", "minKernel"]);
  return {
    caps: list(json["caps"], `${field}.caps`, capability),
    arches: list(json["arches"], `${field}.arches`, string),
    ...(json["minKernel"] === "" ? {} : optional(json, "minKernel", `${field}.minKernel`, kernel)),
  };
};

const RULE_KEYS = ["name", "names", "action", "errnoRet", "errno", "args", "includes", "excludes"];

const rule = (value: unknown, field: string): SeccompRule => {
  const json = object(value, field, RULE_KEYS);
  const names = list(json["names"], `${field}.names`, string);
  const { name } = optional(json, "name", `${field}.name`, string);
  if (name !== undefined && names.length > 0) {
    refuse(`${field}.name`, 'cannot stand beside "names": use one of them');
  }
  if (name === undefined && !Array.isArray(json["names"])) {
    refuse(`${field}.names`, "is missing: it lists the system calls");
  }
  const errnoRet = errno(json, "errnoRet", "errno", `${field}.`);
  return {
    names: name === undefined ? names : [name],
    action: oneOf(SECCOMP_ACTIONS)(json["action"], `${field}.action`),
    ...(errnoRet === undefined ? {} : { errnoRet }),
    args: list(json["args"], `${field}.args`, arg),
    ...optional(json, "includes", `${field}.includes`, filter),
    ...optional(json, "excludes", `${field}.excludes`, filter),
  };
};

const archMapEntry = (value: unknown, field: string): SeccompArchMapEntry => {
  const json = object(value, field, ["architecture", "subArchitectures"]);
  const architecture = oneOf(SECCOMP_ARCHITECTURES);
  return {
    architecture: architecture(json["architecture"], `${field}.architecture`),
    subArchitectures: list(json["subArchitectures"], `${field}.subArchitectures`, architecture),
  };
};

const PROFILE_KEYS = [
  "defaultAction",
  "defaultErrnoRet",
  "defaultErrno",
  "architectures",
  "archMap",
  "flags",
  "listenerPath",
  "listenerMetadata",
  "syscalls",
];

/** JSON with integers beyond 2^53 as bigint: argument values are 64 bits wide. */
const parseJson = (text: string): unknown => {
  try {
    if (!/\d{16}/.test(text)) return JSON.parse(text);
    return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) =>
      typeof value === "number" &&
      !Number.isSafeInteger(value) &&
      /^\d+$/.test(context?.source ?? "")
        ? BigInt(context?.source ?? "")
        : value,
    );
  } catch (error) {
    throw new NaruError("invalid_argument", `seccomp profile: not JSON: ${String(error)}`, {
      cause: error,
    });
  }
};

/**
 * A profile from its JSON text, in Docker's or the OCI's format. System calls nobody knows are no
 * error: a profile may know newer kernels than we do.
 * @throws NaruError invalid_argument naming the field (`details.field`).
 */
export const parseSeccompProfile = (text: string): SeccompProfile => {
  const json = object(parseJson(text), "", PROFILE_KEYS);
  if (json["defaultAction"] === undefined) {
    refuse("defaultAction", 'is missing (to run without a profile, say "seccomp=unconfined")');
  }
  const architectures = list(json["architectures"], "architectures", oneOf(SECCOMP_ARCHITECTURES));
  const archMap = list(json["archMap"], "archMap", archMapEntry);
  if (architectures.length > 0 && archMap.length > 0) {
    refuse("architectures", 'cannot stand beside "archMap": use one of them');
  }
  const defaultErrnoRet = errno(json, "defaultErrnoRet", "defaultErrno", "");
  return {
    defaultAction: oneOf(SECCOMP_ACTIONS)(json["defaultAction"], "defaultAction"),
    ...(defaultErrnoRet === undefined ? {} : { defaultErrnoRet }),
    architectures,
    archMap,
    ...optional(json, "flags", "flags", (value, field) => list(value, field, oneOf(SECCOMP_FLAGS))),
    ...optional(json, "listenerPath", "listenerPath", string),
    ...optional(json, "listenerMetadata", "listenerMetadata", string),
    syscalls: list(json["syscalls"], "syscalls", rule),
  };
};
