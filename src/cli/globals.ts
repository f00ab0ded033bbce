/** The flags before the command's name. */
import { bool, text } from "#cli/framework/flags.ts";
import type { FlagValues } from "#cli/framework/flags.ts";

export const globalFlags = {
  config: text("Location of client config files", undefined, { completes: "files" }),
  context: text("Name of the context to use (overrides NARU_HOST and DOCKER_HOST)", "c"),
  debug: bool("Show the causes of errors", "D"),
  host: text("Engine to speak to: unix://PATH or tcp://HOST:PORT", "H"),
  "log-level": text("Accepted for compatibility", "l", { isHidden: true }),
  tls: bool("Use TLS; implied by --tlsverify"),
  tlscacert: text("Trust certificates signed only by this CA", undefined, { completes: "files" }),
  tlscert: text("Path to the TLS certificate", undefined, { completes: "files" }),
  tlskey: text("Path to the TLS key", undefined, { completes: "files" }),
  tlsverify: bool("Use TLS and verify the engine"),
  version: bool("Print version information and quit", "v"),
};

export type GlobalFlagValues = FlagValues<typeof globalFlags>;
