/** `--security-opt`: what each option means, and everything unknown refused by name (pure). */
import { NaruError } from "#lib/errors.ts";

export interface SecurityOptions {
  readonly isNoNewPrivileges: boolean;
  /** undefined = naru's default profile; "unconfined"; or the JSON text of a profile. */
  readonly seccomp: string | undefined;
  readonly apparmor: string | undefined;
  /** --security-opt systempaths=unconfined is turned into empty path lists by the client. */
  readonly isSystemPathsUnconfined: boolean;
  /** /sys/fs/cgroup may be written to, without all that --privileged gives. */
  readonly isCgroupWritable: boolean;
}

const invalid = (option: string): never => {
  throw new NaruError("invalid_argument", `invalid --security-opt 2: "${option}"`);
};

/** Docker takes both "key=value" and the older "key:value". */
const split = (option: string): [string, string] => {
  const at = option.includes("=") ? option.indexOf("=") : option.indexOf(":");
  return at < 0 ? [option, ""] : [option.slice(0, at), option.slice(at + 1)];
};

const checkProfile = (text: string): string => {
  if (text === "unconfined") return text;
  try {
    JSON.parse(text);
  } catch (cause) {
    throw new NaruError("invalid_argument", `Decoding seccomp profile failed: ${String(cause)}`, {
      cause,
    });
  }
  return text;
};

export const parseSecurityOptions = (
  options: readonly string[] | null,
  isPrivileged: boolean,
): SecurityOptions => {
  let isNoNewPrivileges = false;
  let seccomp: string | undefined = isPrivileged ? "unconfined" : undefined;
  let apparmor: string | undefined;
  let isSystemPathsUnconfined = false;
  let isCgroupWritable = false;
  for (const option of options ?? []) {
    const [key, value] = split(option);
    switch (key) {
      case "no-new-privileges":
        if (!["", "true", "false"].includes(value)) invalid(option);
        isNoNewPrivileges = value !== "false";
        break;
      case "seccomp":
        seccomp = value === "builtin" ? undefined : checkProfile(value);
        break;
      case "apparmor":
        apparmor = value;
        break;
      case "label":
        // Without SELinux on the host there is nothing to label: Docker accepts and does nothing.
        break;
      case "systempaths":
        if (value !== "unconfined") invalid(option);
        isSystemPathsUnconfined = true;
        break;
      case "writable-cgroups":
        if (!["", "true", "false"].includes(value)) invalid(option);
        isCgroupWritable = value !== "false";
        break;
      default:
        invalid(option);
    }
  }
  return { isNoNewPrivileges, seccomp, apparmor, isSystemPathsUnconfined, isCgroupWritable };
};

/** A profile this host cannot enforce is refused rather than ignored. */
export const checkApparmor = (options: SecurityOptions, hasApparmor: boolean): void => {
  const profile = options.apparmor ?? "unconfined";
  if (hasApparmor || profile === "unconfined" || profile === "") return;
  throw new NaruError(
    "failed_precondition",
    `AppArmor profile "${profile}" cannot be used: AppArmor is not enabled on this host`,
  );
};
