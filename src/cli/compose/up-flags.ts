/** Flags that up, create and plan have in common. */
import { bool, integer, list, text } from "#cli/framework/flags.ts";

export const upFlags = {
  "always-recreate-deps": bool("Recreate dependencies too, with --force-recreate"),
  build: bool("Build images before starting containers"),
  "force-recreate": bool("Recreate containers although nothing has changed"),
  "no-build": bool("Do not build images, even when they are missing"),
  "no-deps": bool("Leave the services alone that these depend on"),
  "no-recreate": bool("Leave containers as they are when they exist"),
  pull: text('Pull images first: "always", "missing", "never", "build"', undefined, {
    completes: ["always", "missing", "never", "build"],
  }),
  "quiet-build": bool("Do not show how images are built"),
  "quiet-pull": bool("Do not show how images are pulled"),
  "remove-orphans": bool("Remove containers of services that are not in the files"),
  "renew-anon-volumes": bool("Begin with new anonymous volumes", "V"),
  rolling: bool("Replace containers one by one; each new one must prove itself first"),
  scale: list("How many containers a service has: SERVICE=NUMBER"),
  timeout: integer("Seconds that containers get to stop", "t"),
  yes: bool("Also recreate volumes that have changed: their data is lost", "y"),
};
