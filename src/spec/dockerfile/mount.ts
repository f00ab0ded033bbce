/** `RUN --mount=type=…,key=value,…`. Source: the Dockerfile reference, "RUN --mount". */
import { parseBytes } from "#spec/docker/bytes.ts";
import { csvFields } from "#spec/dockerfile/csv.ts";
import type { CacheSharing, Mount, MountType } from "#spec/dockerfile/dockerfile.ts";
import { Complaint, withSuggestion } from "#spec/dockerfile/error.ts";

const TYPES: readonly MountType[] = ["bind", "cache", "tmpfs", "secret", "ssh"];
const SHARINGS: readonly CacheSharing[] = ["shared", "private", "locked"];
const UINT32_MAX = 0xff_ff_ff_ff;

/** Different spellings of one option. */
const SPELLINGS: Readonly<Record<string, string>> = {
  src: "source",
  dst: "target",
  destination: "target",
  ro: "readonly",
  rw: "readwrite",
};

const KEYS: readonly string[] = (
  "type from source target readonly id sharing required size mode uid gid " +
  "src dst destination ro rw readwrite env"
).split(" ");

type Draft = { -readonly [K in keyof Mount]: Mount[K] } & { isReadonlyGiven: boolean };

const TRUE: readonly string[] = ["1", "t", "T", "TRUE", "true", "True"];
const FALSE: readonly string[] = ["0", "f", "F", "FALSE", "false", "False"];

/** Go's strconv.ParseBool. */
export const readBool = (value: string, key: string): boolean => {
  if (TRUE.includes(value)) return true;
  if (FALSE.includes(value)) return false;
  throw new Complaint(`invalid value for ${key}: ${value}`);
};

const readNumber = (value: string, key: string, base: 8 | 10): number => {
  const number = (base === 8 ? /^[0-7]+$/ : /^\d+$/).test(value) ? parseInt(value, base) : -1;
  if (number < 0 || number > UINT32_MAX) throw new Complaint(`invalid value ${value} for ${key}`);
  return number;
};

const readSize = (value: string, key: string): number => {
  try {
    return parseBytes(value);
  } catch {
    throw new Complaint(`invalid value for ${key}: ${value}`);
  }
};

const oneOf = <T extends string>(value: string, all: readonly T[], what: string): T => {
  const found = all.find((item) => item === value.toLowerCase());
  if (found !== undefined) return found;
  throw new Complaint(withSuggestion(`unsupported ${what} ${JSON.stringify(value)}`, value, all));
};

const onlyFor = (mount: Draft, key: string, types: readonly MountType[]): void => {
  if (types.includes(mount.type)) return;
  throw new Complaint(`unexpected key '${key}' for mount type '${mount.type}'`);
};

const setReadonly = (mount: Draft, isReadonly: boolean): void => {
  mount.isReadonly = isReadonly;
  mount.isReadonlyGiven = true;
};

type Setter = (mount: Draft, value: string, key: string) => void;

const SETTERS: Readonly<Record<string, Setter>> = {
  type: (mount, value) => {
    mount.type = oneOf(value, TYPES, "mount type");
  },
  from: (mount, value) => {
    mount.from = value;
  },
  source: (mount, value) => {
    mount.source = value;
  },
  target: (mount, value) => {
    mount.target = value;
  },
  readonly: (mount, value, key) => {
    setReadonly(mount, readBool(value, key));
  },
  readwrite: (mount, value, key) => {
    setReadonly(mount, !readBool(value, key));
  },
  required: (mount, value, key) => {
    onlyFor(mount, key, ["secret", "ssh"]);
    mount.isRequired = readBool(value, key);
  },
  size: (mount, value, key) => {
    onlyFor(mount, key, ["tmpfs"]);
    mount.sizeLimitBytes = readSize(value, key);
  },
  id: (mount, value) => {
    mount.id = value;
  },
  sharing: (mount, value) => {
    mount.sharing = oneOf(value, SHARINGS, "sharing value");
  },
  mode: (mount, value, key) => {
    mount.mode = readNumber(value, key, 8);
  },
  uid: (mount, value, key) => {
    mount.uid = readNumber(value, key, 10);
  },
  gid: (mount, value, key) => {
    mount.gid = readNumber(value, key, 10);
  },
  env: (mount, value) => {
    mount.env = value;
  },
};

/** Options that may stand without a value. */
const BARE: readonly string[] = ["readonly", "readwrite", "required"];

type Expand = (text: string) => string;

const applyField = (mount: Draft, field: string, expand: Expand | undefined): void => {
  const equals = field.indexOf("=");
  const written = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
  const key = SPELLINGS[written] ?? written;
  if (equals < 0) {
    const setter = BARE.includes(key) ? SETTERS[key] : undefined;
    if (setter === undefined) {
      throw new Complaint(`invalid field '${field}' must be a key=value pair`);
    }
    setter(mount, "true", written);
    return;
  }
  const setter = Object.hasOwn(SETTERS, key) ? SETTERS[key] : undefined;
  if (setter === undefined) {
    const reason = `unexpected key '${written}' in '${field}'`;
    throw new Complaint(withSuggestion(reason, written, KEYS));
  }
  const value = field.slice(equals + 1);
  if (expand === undefined && value.includes("$")) return;
  setter(mount, expand?.(value) ?? value, written);
};

/** What only the whole shows. */
const checkMount = (mount: Draft): void => {
  const { type } = mount;
  if (type === "bind" || type === "tmpfs") {
    for (const key of ["mode", "uid", "gid"] as const) {
      if (mount[key] === undefined) continue;
      throw new Complaint(`${key} not allowed for "${type}" type mounts`);
    }
  }
  if (type === "secret") {
    if (mount.from !== "") throw new Complaint("secret mount should not have a from");
    if (mount.sharing !== undefined) {
      throw new Complaint("secret mount should not define sharing");
    }
    if (mount.source === "" && mount.target === "" && mount.id === "") {
      throw new Complaint("invalid secret mount. one of source, target required");
    }
    if (mount.source !== "" && mount.id !== "") {
      throw new Complaint("both source and id can't be set");
    }
  }
  if (mount.sharing !== undefined && type !== "cache") {
    throw new Complaint(`invalid cache sharing set for ${type} mount`);
  }
};

/** `from` names a stage: which ones a build needs must be known before any variable is. */
export const checkMountSource = (text: string): void => {
  const from = csvFields(text).find((field) => /^from=/i.test(field));
  const dollar = from?.indexOf("$") ?? -1;
  if (from !== undefined && dollar >= 0 && dollar !== from.length - 1) {
    throw new Complaint("'from' doesn't support variable expansion, define alias stage instead");
  }
};

const NOTHING_SET: Draft = {
  type: "bind",
  from: "",
  source: "",
  target: "",
  isReadonly: false,
  sizeLimitBytes: undefined,
  id: "",
  sharing: undefined,
  isRequired: false,
  env: undefined,
  mode: undefined,
  uid: undefined,
  gid: undefined,
  isReadonlyGiven: false,
};

/**
 * Reads one `--mount` value. `expand` is applied to each option's value; without it, values with variables count as
 * not given, and whether the options go together is not looked at. Throws Complaint.
 */
export const parseMount = (text: string, expand?: Expand): Mount => {
  const draft: Draft = { ...NOTHING_SET };
  for (const field of csvFields(text)) applyField(draft, field, expand);
  if (expand !== undefined || !text.includes("$")) checkMount(draft);
  const { isReadonlyGiven, ...mount } = draft;
  if (isReadonlyGiven) return mount;
  return { ...mount, isReadonly: mount.type !== "cache" && mount.type !== "tmpfs" };
};
