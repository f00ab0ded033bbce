/** Small values of the run flags, checked as docker checks them. */
import { readIfThere } from "#cli/read-file.ts";
import { cut } from "#cli/run-options/csv.ts";
import { isIP } from "#lib/ip-address.ts";
import type { RestartPolicy } from "#spec/docker/host-config.ts";

export const parseAttach = (text: string): string => {
  const lower = text.toLowerCase();
  if (!["stdin", "stdout", "stderr"].includes(lower)) {
    throw new Error("valid streams are STDIN, STDOUT and STDERR");
  }
  return lower;
};

/** `host:ip` or `host=ip`; sent with a colon. */
export const parseExtraHost = (text: string): string => {
  const at = text.search(/[:=]/);
  const host = at < 0 ? "" : text.slice(0, at);
  const ip = (at < 0 ? "" : text.slice(at + 1)).replace(/^\[(.*)\]$/, "$1");
  if (host === "" || ip === "") throw new Error(`bad format for add-host: ${JSON.stringify(text)}`);
  if (ip !== "host-gateway" && !isIP(ip)) {
    throw new Error(`invalid IP address in add-host: ${JSON.stringify(ip)}`);
  }
  return `${host}:${ip}`;
};

const SYSCTLS = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
]);

export const parseSysctl = (text: string): [string, string] => {
  const [name, value] = cut(text);
  const isAllowed = SYSCTLS.has(name) || name.startsWith("net.") || name.startsWith("fs.mqueue.");
  if (value === undefined || !isAllowed) throw new Error(`sysctl '${text}' is not allowed`);
  return [name, value];
};

export const parseLabel = (text: string): string => {
  if (text === "" || text.startsWith("=")) throw new Error(`invalid label '${text}': empty name`);
  return text;
};

const NAMES = new Set<string>(["", "no", "always", "unless-stopped", "on-failure"]);
const isPolicyName = (name: string): name is RestartPolicy["Name"] => NAMES.has(name);

export const parseRestart = (text: string): RestartPolicy => {
  const [name, count] = cut(text, ":");
  if (text !== "" && name === "") {
    throw new Error("invalid restart policy format: no policy provided before colon");
  }
  if (count !== undefined && !/^\d+$/.test(count)) {
    throw new Error("invalid restart policy format: maximum retry count must be an integer");
  }
  if (!isPolicyName(name)) {
    throw new Error(
      `invalid restart policy: unknown policy '${name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    );
  }
  if (count !== undefined && name !== "on-failure") {
    throw new Error(
      "invalid restart policy: maximum retry count can only be used with 'on-failure'",
    );
  }
  return { Name: name, MaximumRetryCount: Number(count ?? 0) };
};

export const parseDeviceRule = (text: string): string => {
  if (!/^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$/.test(text)) {
    throw new Error(`invalid device cgroup format '${text}'`);
  }
  return text;
};

export const parseDnsSearch = (text: string): string => {
  const domain = text.trim();
  if (domain === "." || /^[\p{L}\p{N}_]([\p{L}\p{N}_.-]*[\p{L}\p{N}_.])?$/u.test(domain))
    return domain;
  throw new Error(`${text} is not a valid domain`);
};

/** A file of JSON for seccomp, compacted; other options as they are. */
export const readSecurityOptions = async (values: readonly string[]): Promise<string[]> => {
  const options: string[] = [];
  for (const text of values) {
    const at = text.startsWith("no-new-privileges") ? -1 : text.search(/[=:]/);
    const name = at < 0 ? text : text.slice(0, at);
    const value = at < 0 ? "" : text.slice(at + 1);
    if (value === "" && !text.startsWith("no-new-privileges")) {
      throw new Error(`invalid --security-opt: ${JSON.stringify(text)}`);
    }
    const isProfile = name === "seccomp" && value !== "unconfined" && value !== "builtin";
    options.push(isProfile ? `seccomp=${await readProfile(value)}` : text);
  }
  return options;
};

const readProfile = async (path: string): Promise<string> => {
  const bytes = await readIfThere(path);
  if (bytes === undefined) {
    throw new Error(
      `opening seccomp profile (${path}) failed: open ${path}: no such file or directory`,
    );
  }
  try {
    return JSON.stringify(JSON.parse(bytes.toString("utf8")));
  } catch (cause) {
    throw new Error(`compacting json for seccomp profile (${path}) failed: it is not valid JSON`, {
      cause,
    });
  }
};

export const parsePairs = (values: readonly string[], whenBare: string): Record<string, string> => {
  const pairs: Record<string, string> = {};
  for (const text of values) {
    const [key, value] = cut(text);
    if (value === undefined && whenBare !== "") throw new Error(whenBare);
    pairs[key] = value ?? "";
  }
  return pairs;
};
