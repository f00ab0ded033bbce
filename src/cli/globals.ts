/** The flags before the command's name. */
import { bool, text, value } from "#cli/framework/flags.ts";
import type { FlagValues } from "#cli/framework/flags.ts";

export const globalFlags = {
  config: text("Location of client config files", undefined, { completes: "files" }),
  context: text("Name of the context to use (overrides NARU_HOST and DOCKER_HOST)", "c", {
    completes: "contexts",
  }),
  debug: bool("Show the causes of errors", "D"),
  host: value<string | undefined>(
    "Engine to speak to: unix://PATH, tcp://HOST:PORT or ssh://USER@HOST",
    "string",
    undefined,
    (given, previous) => {
      if (previous !== undefined) throw new Error("specify only one -H");
      return given;
    },
    { short: "H" },
  ),
  "log-level": text("Accepted for compatibility", "l", { isHidden: true }),
  tls: bool("Use TLS; implied by --tlsverify"),
  tlscacert: text("Trust certificates signed only by this CA", undefined, { completes: "files" }),
  tlscert: text("Path to the TLS certificate", undefined, { completes: "files" }),
  tlskey: text("Path to the TLS key", undefined, { completes: "files" }),
  tlsverify: bool("Use TLS and verify the engine"),
  version: bool("Print version information and quit", "v"),
};

export type GlobalFlagValues = FlagValues<typeof globalFlags>;
