/** The --health-* flags. */
import type { FlagValues } from "#cli/framework/flags.ts";
import type { healthFlags } from "#cli/run-options/flags.ts";
import type { HealthConfig } from "#spec/docker/container-config.ts";

/** Undefined leaves the image's own health check. */
export const healthConfig = (flags: FlagValues<typeof healthFlags>): HealthConfig | undefined => {
  const numbers = {
    Interval: flags["health-interval"],
    Timeout: flags["health-timeout"],
    StartPeriod: flags["health-start-period"],
    StartInterval: flags["health-start-interval"],
    Retries: flags["health-retries"],
  };
  const names: Readonly<Record<keyof typeof numbers, string>> = {
    Interval: "--health-interval",
    Timeout: "--health-timeout",
    StartPeriod: "--health-start-period",
    StartInterval: "--health-start-interval",
    Retries: "--health-retries",
  };
  const command = flags["health-cmd"] ?? "";
  const set = Object.entries(numbers).filter(([, value]) => value !== undefined && value !== 0);
  const hasAny = command !== "" || set.length > 0;
  if (flags["no-healthcheck"]) {
    if (hasAny) throw new Error("--no-healthcheck conflicts with --health-* options");
    return { Test: ["NONE"] };
  }
  if (!hasAny) return undefined;
  for (const [name, value] of set) {
    if (value !== undefined && value < 0) {
      throw new Error(`${names[name as keyof typeof numbers]} cannot be negative`);
    }
  }
  return {
    ...(command === "" ? {} : { Test: ["CMD-SHELL", command] }),
    ...Object.fromEntries(set),
  };
};
