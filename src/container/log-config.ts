/** Which log drivers there are, and their options (pure; the words are Docker's). */
import { validateLogOptions } from "#log/options.ts";
import type { HostConfig } from "#spec/docker/host-config.ts";

export const validateLogConfig = (config: HostConfig["LogConfig"]): void =>
  validateLogOptions(config.Type, config.Config);
