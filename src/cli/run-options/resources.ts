/** Values of the resource flags: memory, CPUs, block devices, ulimits, devices, GPUs. */
import { cut, parseCsv } from "#cli/run-options/csv.ts";
import { parseRam } from "#cli/format/units.ts";
import type {
  DeviceMapping,
  DeviceRequest,
  ThrottleDevice,
  Ulimit,
  WeightDevice,
} from "#spec/docker/host-config.ts";

export const parseMemory = (text: string): number => parseRam(text);

export const parseMemorySwap = (text: string): number => (text === "-1" ? -1 : parseRam(text));

/** "1.5" or "3/2" in billionths of a CPU. */
export const parseCpus = (text: string): number => {
  const match = /^(\d+(?:\.\d*)?|\.\d+)(?:\/(\d+))?$/.exec(text);
  if (match === null) throw new Error(`failed to parse ${text} as a rational number`);
  const nano = (Number(match[1]) / Number(match[2] ?? "1")) * 1e9;
  if (Math.abs(nano - Math.round(nano)) > 1e-6) throw new Error("value is too precise");
  return Math.round(nano);
};

export const parseWeight = (text: string): number => {
  const weight = Number(text);
  if (!/^\d+$/.test(text) || weight > 65_535) {
    throw new Error(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  return weight;
};

const splitDevice = (text: string): [string, string] => {
  const [path, value] = cut(text, ":");
  if (value === undefined || path === "" || value.includes(":")) {
    throw new Error(`bad format: ${text}`);
  }
  if (!path.startsWith("/dev/")) throw new Error(`bad format for device path: ${text}`);
  return [path, value];
};

export const parseWeightDevice = (text: string): WeightDevice => {
  const [path, value] = splitDevice(text);
  const weight = Number(value);
  if (!/^\d+$/.test(value) || (weight !== 0 && (weight < 10 || weight > 1000))) {
    throw new Error(`invalid weight for device: ${text}`);
  }
  return { Path: path, Weight: weight };
};

export const parseDeviceBps = (text: string): ThrottleDevice => {
  const [path, value] = splitDevice(text);
  try {
    return { Path: path, Rate: parseRam(value) };
  } catch (cause) {
    throw new Error(
      `invalid rate for device: ${text}. The correct format is <device-path>:<number>[<unit>]. ` +
        "Number must be a positive integer. Unit is optional and can be kb, mb, or gb",
      { cause },
    );
  }
};

export const parseDeviceIops = (text: string): ThrottleDevice => {
  const [path, value] = splitDevice(text);
  if (!/^\d+$/.test(value)) {
    throw new Error(
      `invalid rate for device: ${text}. The correct format is <device-path>:<number>. ` +
        "Number must be a positive integer",
    );
  }
  return { Path: path, Rate: Number(value) };
};

const ULIMITS = new Set(
  "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split(
    " ",
  ),
);

export const parseUlimit = (text: string): Ulimit => {
  const [name, limits] = cut(text);
  if (limits === undefined) throw new Error(`invalid ulimit argument: ${text}`);
  if (!ULIMITS.has(name)) throw new Error(`invalid ulimit type: ${name}`);
  const parts = limits.split(":");
  if (parts.length > 2)
    throw new Error(
      `too many limit value arguments - ${limits}, can only have up to two, \`soft[:hard]\``,
    );
  const numbers = parts.map((part) => {
    if (!/^-?\d+$/.test(part))
      throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(part)}: invalid syntax`);
    return Number(part);
  });
  const [soft = 0, hard = soft] = numbers;
  if (hard !== -1 && (soft === -1 || soft > hard)) {
    throw new Error(
      `ulimit soft limit must be less than or equal to hard limit: ${String(soft)} > ${String(hard)}`,
    );
  }
  return { Name: name, Soft: soft, Hard: hard };
};

const isDeviceMode = (text: string): boolean =>
  text !== "" && /^[rwm]+$/.test(text) && new Set(text).size === text.length;

/** `host[:container][:rwm]`. */
export const parseDevice = (text: string): DeviceMapping => {
  const parts = text.split(":");
  const [host = "", second, third] = parts;
  if (parts.length > 3 || host === "") throw new Error(`bad format for path: ${text}`);
  if (third !== undefined && !isDeviceMode(third)) throw new Error(`bad mode specified: ${third}`);
  const isMode = third === undefined && second !== undefined && isDeviceMode(second);
  const inside = second === undefined || isMode ? host : second;
  if (!inside.startsWith("/")) throw new Error(`${inside} is not an absolute path`);
  return {
    PathOnHost: host,
    PathInContainer: inside,
    CgroupPermissions: third ?? (isMode ? second : "rwm"),
  };
};

/** CDI names, "vendor.com/class=device", go to the engine as they are. */
export const isCdiName = (text: string): boolean => /^[\w.-]+\/[\w.-]+=[\w.:-]+$/.test(text);

const gpuCount = (text: string): number => {
  if (text === "all") return -1;
  if (!/^\d+$/.test(text)) {
    throw new Error(`invalid count (${text}): value must be either "all" or an integer`);
  }
  return Number(text);
};

const optionMap = (text: string): Record<string, string> =>
  Object.fromEntries(
    parseCsv(text).map((pair) => {
      const [key, value] = cut(pair);
      return [key, value ?? ""];
    }),
  );

/** `all`, a number, or `device=…,driver=…,capabilities=…,options=…`. */
export const parseGpus = (text: string): DeviceRequest => {
  let count: number | undefined;
  let driver = "";
  let ids: string[] | null = null;
  let capabilities = ["gpu"];
  let options: Record<string, string> | null = null;
  for (const field of parseCsv(text)) {
    const [key, value] = cut(field);
    if (value === undefined) count = gpuCount(key);
    else if (key === "count") count = gpuCount(value);
    else if (key === "driver") driver = value;
    else if (key === "device") ids = value.split(",");
    else if (key === "capabilities") capabilities = [...new Set([...value.split(","), "gpu"])];
    else if (key === "options") options = optionMap(value);
    else throw new Error(`unexpected key '${key}' in '${field}'`);
  }
  return {
    Driver: driver,
    Count: count ?? (ids === null ? 1 : 0),
    DeviceIDs: ids,
    Capabilities: [capabilities],
    Options: options,
  };
};
