/** The flags of `naru build`. */
import type { defineCommand } from "#cli/framework/command.ts";
import { bool, contentTrust, implied, integer, list, text } from "#cli/framework/flags.ts";

export const flags = {
  annotation: list("Add an annotation to the image"),
  attest: list("Attestations of the result (format: type=provenance,… or type=sbom)"),
  "add-host": list("Add a custom host-to-IP mapping (host:ip)"),
  allow: list("Grant an entitlement to the build: network.host, security.insecure"),
  "build-arg": list("Set build-time variables"),
  "build-context": list("Additional build contexts (e.g., name=path)"),
  "cache-from": list(
    "Caches of elsewhere to look into: NAME, type=registry,ref=NAME, type=local,src=PATH",
  ),
  "cache-to": list(
    "Where to write the cache: type=registry,ref=NAME, type=local,dest=PATH, type=inline",
  ),
  "cgroup-parent": text("Set the parent cgroup of RUN instructions"),
  check: bool("Check the build configuration, and build nothing"),
  explain: bool("Say why each step is not taken from the cache"),
  file: text('Name of the Dockerfile (default: "PATH/Dockerfile")', "f", { completes: "files" }),
  iidfile: text("Write the image ID to a file", undefined, { completes: "files" }),
  label: list("Set metadata for an image"),
  load: bool("Keep the image in the engine as well (shorthand for -o type=image)"),
  "metadata-file": text("Write what the build's outputs tell to a file", undefined, {
    completes: "files",
  }),
  memory: text("Memory limit of RUN instructions", "m"),
  network: text("Network of RUN instructions: default, none, host, or one by its name"),
  "no-cache": bool("Do not use cache when building the image"),
  "no-cache-filter": list("Do not cache specified stages"),
  output: list('Output destination (format: "type=local,dest=path")', "o"),
  platform: text("Set target platforms for build, separated by commas"),
  progress: text("Type of progress output: auto, plain, tty, json, quiet"),
  provenance: text("How the result came about, beside it: true, false, mode=max"),
  pull: bool("Always attempt to pull all referenced images"),
  push: bool("Push the image (shorthand for -o type=registry)"),
  quiet: bool("Suppress the build output and print image ID on success", "q"),
  sbom: text("What software is in the result, beside it: true, false"),
  secret: list('Secret to expose to the build (format: "id=mysecret,src=/local/secret")'),
  "shm-size": text("Size of /dev/shm in RUN instructions"),
  ssh: list('SSH agent socket to expose to the build (format: "default|<id>[=<socket>]")'),
  tag: list('Name and optionally a tag (format: "name:tag")', "t"),
  ulimit: list("Ulimits of RUN instructions (name=soft[:hard])"),
  target: text("Set the target build stage to build"),
  watch: bool("Build again whenever a file changes that the build reads"),
  // Contexts are sent by what has changed in them, and nothing of a step stays behind.
  compress: implied(),
  "force-rm": implied(),
  rm: implied(),
  "disable-content-trust": contentTrust(),
  "cpu-shares": integer("CPU shares (relative weight) of RUN instructions", "c"),
};

/** What the command is given. */
export type Given = Parameters<Parameters<typeof defineCommand<typeof flags>>[0]["run"]>[0];
