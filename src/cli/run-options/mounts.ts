/** --mount, --volume and --tmpfs as the API's mounts, with docker's checks and words. */
import { absolutePath } from "#lib/path.ts";
import { cut, parseCsv } from "#cli/run-options/csv.ts";
import { parseRam } from "#cli/format/units.ts";
import type { BindOptions, Mount, TmpfsOptions, VolumeOptions } from "#spec/docker/host-config.ts";

const BOOLEAN_KEYS = new Set([
  "readonly",
  "ro",
  "volume-nocopy",
  "bind-nonrecursive",
  "bind-create-src",
]);

interface Draft {
  type: string;
  source?: string;
  target: string;
  isReadOnly: boolean;
  consistency?: string;
  bind?: BindOptions;
  volume?: VolumeOptions;
  tmpfs?: TmpfsOptions;
  image?: { Subpath?: string };
}

const parseFlag = (key: string, value: string | undefined): boolean => {
  if (value === undefined || value === "1" || value === "true") return true;
  if (value === "0" || value === "false") return false;
  throw new Error(
    `invalid value for '${key}': invalid boolean value (${JSON.stringify(value)}): ` +
      'must be one of "true", "1", "false", or "0" (default "true")',
  );
};

const withEntry = (
  map: Record<string, string> | undefined,
  text: string,
): Record<string, string> | undefined => {
  const [key, value] = cut(text);
  return key === "" ? map : { ...map, [key]: value ?? "" };
};

const absolute = (path: string): string => (path.startsWith(".") ? absolutePath(path) : path);

type Setter = (draft: Draft, value: string, key: string, given: string | undefined) => void;

const PROPAGATIONS = new Set(["private", "rprivate", "shared", "rshared", "slave", "rslave"]);

const setBindRecursive: Setter = (draft, value, key) => {
  switch (value) {
    case "enabled":
      return;
    case "disabled":
      draft.bind = { ...draft.bind, NonRecursive: true };
      return;
    case "writable":
      draft.bind = { ...draft.bind, ReadOnlyNonRecursive: true };
      return;
    case "readonly":
      draft.bind = { ...draft.bind, ReadOnlyForceRecursive: true };
      return;
    default:
      throw new Error(
        `invalid value for ${key}: ${value} (must be "enabled", "disabled", "writable", or "readonly")`,
      );
  }
};

const setTmpfsMode: Setter = (draft, value, key) => {
  if (!/^[0-7]+$/.test(value)) throw new Error(`invalid value for ${key}: ${value}`);
  draft.tmpfs = { ...draft.tmpfs, Mode: Number.parseInt(value, 8) };
};

const setTmpfsSize: Setter = (draft, value, key) => {
  try {
    draft.tmpfs = { ...draft.tmpfs, SizeBytes: parseRam(value) };
  } catch (cause) {
    throw new Error(`invalid value for ${key}: ${value}`, { cause });
  }
};

const setSource: Setter = (draft, value) => {
  draft.source = absolute(value);
};
const setTarget: Setter = (draft, value) => {
  draft.target = value;
};
const setReadOnly: Setter = (draft, _value, key, given) => {
  draft.isReadOnly = parseFlag(key, given);
};

const SETTERS: Readonly<Record<string, Setter>> = {
  type: (draft, value) => {
    draft.type = value.toLowerCase();
  },
  source: setSource,
  src: setSource,
  target: setTarget,
  dst: setTarget,
  destination: setTarget,
  readonly: setReadOnly,
  ro: setReadOnly,
  consistency: (draft, value) => {
    draft.consistency = value.toLowerCase();
  },
  "bind-propagation": (draft, value) => {
    const propagation = value.toLowerCase() as NonNullable<BindOptions["Propagation"]>;
    if (!PROPAGATIONS.has(propagation)) throw new Error(`invalid propagation mode: ${value}`);
    draft.bind = { ...draft.bind, Propagation: propagation };
  },
  "bind-nonrecursive": () => {
    throw new Error("bind-nonrecursive is deprecated, use bind-recursive=disabled instead");
  },
  "bind-recursive": setBindRecursive,
  "bind-create-src": (draft, _value, key, given) => {
    draft.bind = { ...draft.bind, CreateMountpoint: parseFlag(key, given) };
  },
  "volume-subpath": (draft, value) => {
    draft.volume = { ...draft.volume, Subpath: value };
  },
  "volume-nocopy": (draft, _value, key, given) => {
    draft.volume = { ...draft.volume, NoCopy: parseFlag(key, given) };
  },
  "volume-label": (draft, value) => {
    draft.volume = { ...draft.volume, Labels: withEntry(draft.volume?.Labels, value) ?? {} };
  },
  "volume-driver": (draft, value) => {
    const driver = { ...draft.volume?.DriverConfig, Name: value };
    draft.volume = { ...draft.volume, DriverConfig: driver };
  },
  "volume-opt": (draft, value) => {
    const options = withEntry(draft.volume?.DriverConfig?.Options, value) ?? {};
    const driver = { ...draft.volume?.DriverConfig, Options: options };
    draft.volume = { ...draft.volume, DriverConfig: driver };
  },
  "image-subpath": (draft, value) => {
    draft.image = { ...draft.image, Subpath: value };
  },
  "tmpfs-size": setTmpfsSize,
  "tmpfs-mode": setTmpfsMode,
};

const applyField = (draft: Draft, field: string): void => {
  const [rawKey, value] = cut(field);
  if (rawKey.trim() !== rawKey) {
    throw new Error(
      `invalid option '${rawKey.trim()}' in '${field}': option should not have whitespace`,
    );
  }
  if (value !== undefined && value.trim() === "") {
    throw new Error(`invalid value for '${rawKey}': value is empty`);
  }
  if (value !== undefined && value.trim() !== value) {
    throw new Error(
      `invalid value for '${rawKey}' in '${field}': value should not have whitespace`,
    );
  }
  const key = rawKey.toLowerCase();
  if (value === undefined && !BOOLEAN_KEYS.has(key)) {
    throw new Error(`invalid field '${field}' must be a key=value pair`);
  }
  const set = SETTERS[key];
  if (set === undefined) throw new Error(`unknown option '${key}' in '${field}'`);
  set(draft, value ?? "", key, value);
};

const TYPES = new Set<string>(["bind", "volume", "tmpfs", "image", "npipe", "cluster"]);

const checkOptions = (draft: Draft): void => {
  const mixes: readonly (readonly [string, unknown])[] = [
    ["bind", draft.bind],
    ["volume", draft.volume],
    ["image", draft.image],
    ["tmpfs", draft.tmpfs],
  ];
  for (const [kind, options] of mixes) {
    if (options !== undefined && draft.type !== kind) {
      throw new Error(`cannot mix '${kind}-*' options with mount type '${draft.type}'`);
    }
  }
  if (draft.bind?.ReadOnlyNonRecursive === true && !draft.isReadOnly) {
    throw new Error(
      "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction",
    );
  }
  if (draft.bind?.ReadOnlyForceRecursive !== true) return;
  if (!draft.isReadOnly) {
    throw new Error(
      "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction",
    );
  }
  if (draft.bind.Propagation !== "rprivate") {
    throw new Error(
      "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
    );
  }
};

const isMountType = (type: string): type is Mount["Type"] => TYPES.has(type);

/** One `--mount` value. Throws with the field at fault. */
export const parseMount = (text: string): Mount => {
  if (text.trim() === "") throw new Error("value is empty");
  const draft: Draft = { type: "volume", target: "", isReadOnly: false };
  for (const field of parseCsv(text.trim())) applyField(draft, field);
  checkOptions(draft);
  if (!isMountType(draft.type)) throw new Error(`invalid mount type: ${draft.type}`);
  return {
    Type: draft.type,
    Target: draft.target,
    ...(draft.source === undefined ? {} : { Source: draft.source }),
    ...(draft.isReadOnly ? { ReadOnly: true } : {}),
    ...(draft.consistency === undefined ? {} : { Consistency: draft.consistency }),
    ...(draft.bind === undefined ? {} : { BindOptions: draft.bind }),
    ...(draft.volume === undefined ? {} : { VolumeOptions: draft.volume }),
    ...(draft.tmpfs === undefined ? {} : { TmpfsOptions: draft.tmpfs }),
    ...(draft.image === undefined ? {} : { ImageOptions: draft.image }),
  };
};

/** `-v` values: binds keep their text with an absolute source, bare targets are anonymous volumes. */
export const splitVolumes = (
  values: readonly string[],
): { binds: string[]; anonymous: Record<string, object> } => {
  const binds: string[] = [];
  const anonymous: Record<string, object> = {};
  for (const value of new Set(values)) {
    if (value === "") throw new Error("invalid empty volume spec");
    const sections = value.split(":");
    if (sections.some((section) => section === "") && value.length > 2) {
      throw new Error(`invalid spec: ${value}: empty section between colons`);
    }
    if (sections.length > 3) throw new Error(`invalid spec: ${value}: too many colons`);
    const [source = "", ...rest] = sections;
    if (rest.length === 0) anonymous[source] = {};
    else binds.push([absolute(source), ...rest].join(":"));
  }
  return { binds, anonymous };
};

/** `--tmpfs /run:size=64m,mode=700`: path to its options. */
export const parseTmpfs = (values: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    values.map((value) => {
      const [path, options] = cut(value, ":");
      return [path, options ?? ""];
    }),
  );
