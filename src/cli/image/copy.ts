import type { CliContext } from "#cli/context.ts";
import { defineCommand, TWO } from "#cli/framework/command.ts";
import { bool, text } from "#cli/framework/flags.ts";
import { type Place, parsePlace } from "#cli/image/copy/places.ts";
import { registryAuthHeader } from "#cli/registry/credentials.ts";
import { showProgress } from "#cli/terminal/progress.ts";
import { PLAIN_MODE, saveStream, uploadFrom } from "#cli/terminal/save-stream.ts";
import { NaruError } from "#lib/errors.ts";

interface Copy {
  readonly context: CliContext;
  readonly source: Place;
  readonly target: Place;
  readonly platform: string | undefined;
  readonly hasReferrers: boolean;
  readonly isQuiet: boolean;
}

type Archive = AsyncIterable<Uint8Array>;

const isDocker = ({ kind }: Place): boolean => kind === "docker-archive";
const isFile = ({ kind }: Place): boolean => kind === "oci-archive" || kind === "docker-archive";

/** What cannot be, by name and with the remedy. */
const check = ({ source, target, platform, hasReferrers }: Copy): void => {
  const refuse = (message: string): never => {
    throw new NaruError("invalid_argument", message);
  };
  const isLocal = source.kind === "oci" || isFile(source);
  if (source.kind === "store" && target.kind === "store") {
    refuse("both are in the store: give the image a second name with naru tag");
  }
  if (isFile(source) && isFile(target)) {
    refuse("an archive is copied to another with cp; to change its form copy it to store: first");
  }
  if (isDocker(source) && target.kind === "oci") {
    refuse("a docker-archive has no manifests: copy it to store: or to a registry first");
  }
  if (source.kind === "oci" && isDocker(target)) {
    refuse("a docker-archive is not made of a layout: copy that to store: first");
  }
  if (hasReferrers && (isDocker(source) || isDocker(target))) {
    refuse("--referrers: a docker-archive cannot hold what refers to an image; use oci-archive:");
  }
  if (platform !== undefined && isLocal && target.kind !== "store" && target.kind !== "registry") {
    refuse("--platform chooses at a registry or in the store: neither takes part in this copy");
  }
};

/** The source as an archive. `platform` and referrers are done with where the engine gives it. */
const openSource = async (copy: Copy): Promise<Archive> => {
  const { context, hasReferrers, platform, source, target } = copy;
  if (source.kind === "oci") {
    const { readLayout } = await import("#cli/image/copy/layout.ts");
    const as = target.kind === "store" ? target.name : undefined;
    return readLayout(source.path, source.name, as, hasReferrers);
  }
  if (source.kind === "oci-archive" || source.kind === "docker-archive") {
    return await uploadFrom(source.path);
  }
  const client = await context.client();
  const { name } = source;
  const chosen = platform === undefined ? {} : { platform };
  if (source.kind === "store") {
    return (await client.call("imageSave", { query: { names: [name], ...chosen } })).body;
  }
  const headers = await registryAuthHeader(context, name);
  const referrers = hasReferrers ? { referrers: true } : {};
  const query = { source: name, ...chosen, ...referrers };
  return (await client.call("imageExport", { query, headers })).body;
};

const writeTarget = async (copy: Copy, archive: Archive): Promise<void> => {
  const { context, isQuiet, platform, source, target } = copy;
  const { output } = context;
  if (target.kind === "oci") {
    const { writeLayout } = await import("#cli/image/copy/layout.ts");
    const count = await writeLayout(target.path, target.name, archive);
    if (!isQuiet) output.line(`${count} new blobs in "${target.path}"`);
    return;
  }
  if (target.kind === "oci-archive" || target.kind === "docker-archive") {
    await saveStream(context, archive, target.path, PLAIN_MODE);
    return;
  }
  const client = await context.client();
  const isChosen = source.kind === "registry" || source.kind === "store";
  const chosen = isChosen || platform === undefined ? {} : { platform };
  const response =
    target.kind === "store"
      ? await client.call("imageLoad", {
          query: { as: target.name, quiet: isQuiet, ...chosen },
          body: archive,
        })
      : await client.call("imagePublish", {
          query: { target: target.name, ...chosen },
          headers: await registryAuthHeader(context, target.name),
          body: archive,
        });
  await showProgress(response.body, { output, stream: "stdout", isQuiet });
};

/** Who copies from the store may think that all platforms go. */
const tellWhatIsMissing = async ({ context, platform, source }: Copy): Promise<void> => {
  if (source.kind !== "store" || platform !== undefined) return;
  const client = await context.client();
  const query = { manifests: true };
  const { Manifests = [] } = await client.call("imageInspect", { name: source.name, query });
  if (Manifests.every(({ Available }) => Available)) return;
  context.output.error(
    `NOTE: not all platforms of ${source.name} are here: only what is here was copied. ` +
      "To have the others, pull it from where it is whole with --all-platforms",
  );
};

const copyRegistries = async (copy: Copy, source: string, target: string): Promise<void> => {
  const { context, hasReferrers, isQuiet, platform } = copy;
  const client = await context.client();
  const auth = (await registryAuthHeader(context, target))["X-Registry-Auth"];
  const response = await client.call("imageCopy", {
    query: { source, target, platform, ...(hasReferrers ? { referrers: true } : {}) },
    headers: {
      ...(await registryAuthHeader(context, source)),
      ...(auth === undefined ? {} : { "X-Registry-Auth-Target": auth }),
    },
  });
  await showProgress(response.body, { output: context.output, stream: "stdout", isQuiet });
};

export const command = defineCommand({
  usage: "[OPTIONS] SOURCE TARGET",
  description:
    "Copy an image as it is: every platform, nothing unpacked, the same digest. SOURCE and TARGET are a registry's (NAME or " +
    "docker://NAME), the engine's store (store:NAME), an OCI layout (oci:DIR[:TAG]), an OCI archive (oci-archive:FILE) or " +
    "what docker save writes (docker-archive:FILE, one platform). What is there already is not copied again.",
  flags: {
    platform: text("Copy the image for this platform only"),
    quiet: bool("Suppress verbose output", "q"),
    referrers: bool("Also copy what refers to the image: signatures, attestations"),
  },
  args: TWO,
  examples: [
    "naru copy alpine:3.20 localhost:5000/alpine:3.20",
    "naru copy docker://alpine:3.20 oci:layouts/alpine:3.20",
    "naru copy --platform linux/arm64 store:app oci-archive:app.tar",
  ],
  run: async ({ context, flags, args }) => {
    const [from = "", to = ""] = args;
    const copy: Copy = {
      context,
      source: parsePlace(from),
      target: parsePlace(to),
      platform: flags.platform,
      hasReferrers: flags.referrers,
      isQuiet: flags.quiet,
    };
    check(copy);
    const { source, target } = copy;
    if (source.kind === "registry" && target.kind === "registry") {
      await copyRegistries(copy, source.name, target.name);
    } else {
      await writeTarget(copy, await openSource(copy));
      await tellWhatIsMissing(copy);
    }
    return 0;
  },
});
