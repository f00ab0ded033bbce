/** Which log drivers there are, and their options (pure; the words are Docker's). */
import { validateLogAttributes } from "#container/log-attributes.ts";
import { ineffectiveLogOptions, validateLogOptions } from "#log/options.ts";
import type { HostConfig } from "#spec/docker/host-config.ts";

export const validateLogConfig = (config: HostConfig["LogConfig"]): void => {
  validateLogOptions(config.Type, config.Config);
  validateLogAttributes(config.Config);
};

/** Told to the client at create: an option is never ignored in silence. */
export const logConfigWarnings = ({ Config }: HostConfig["LogConfig"]): string[] =>
  ineffectiveLogOptions(Config)
    .filter((key) => Config[key] !== undefined)
    .map((key) => `log option "${key}" has no effect: output goes to a file, nothing is buffered`);
