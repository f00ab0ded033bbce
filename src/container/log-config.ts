/** Which log drivers there are, and their options (pure; the words are Docker's). */
import { ineffectiveLogOptions, validateLogOptions } from "#log/options.ts";
import type { HostConfig } from "#spec/docker/host-config.ts";

export const validateLogConfig = (config: HostConfig["LogConfig"]): void =>
  validateLogOptions(config.Type, config.Config);

/** Told to the client at create: an option is never ignored in silence. */
export const logConfigWarnings = (config: HostConfig["LogConfig"]): string[] =>
  ineffectiveLogOptions(config.Config).map((key) => `log option "${key}" has no effect yet`);
