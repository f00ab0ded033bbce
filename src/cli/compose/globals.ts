/** The flags between `compose` and the command's name. */
import { bool, integer, list, text, unsupported } from "#cli/framework/flags.ts";
import type { FlagValues } from "#cli/framework/flags.ts";

export const composeFlags = {
  "all-resources": bool("Include all resources, even those not used by services"),
  ansi: text('Control colours: "never", "always" or "auto"', undefined, {
    completes: ["never", "always", "auto"],
  }),
  compatibility: unsupported("names have hyphens; set container_name where another one is needed"),
  "dry-run": bool("Say what would be done, and do nothing"),
  "env-file": list("An alternate environment file", undefined, { completes: "files" }),
  file: list("Compose files; later ones override earlier ones", "f", { completes: "files" }),
  parallel: integer("How many things are done at once (-1: no limit)"),
  profile: list("A profile to turn on"),
  progress: text("How progress is shown: auto, tty, plain, json, quiet", undefined, {
    completes: ["auto", "tty", "plain", "json", "quiet"],
  }),
  "project-directory": text("The folder that relative paths stand for", undefined, {
    completes: "files",
    aliases: ["workdir"],
  }),
  "project-name": text("The project's name", "p"),
  verbose: unsupported("naru daemon --log-level debug says more"),
};

export type ComposeFlags = FlagValues<typeof composeFlags>;
