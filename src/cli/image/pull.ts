import { defineCommand, ONE } from "#cli/framework/command.ts";
import { exitError } from "#cli/framework/errors.ts";
import { bool, contentTrust, text } from "#cli/framework/flags.ts";
import { pullImage } from "#cli/image/pull-image.ts";
import { NaruError } from "#lib/errors.ts";
import { registryOf, splitReference } from "#cli/image/names.ts";

/** The full name of what was pulled, for scripts; of all tags that of their repository. */
const fullName = (image: string, isAllTags: boolean): string => {
  const registry = registryOf(image);
  const path = image.startsWith(`${registry}/`) ? image.slice(registry.length + 1) : image;
  const isOfficial = registry === "docker.io" && !path.includes("/");
  const { tag } = splitReference(path);
  const isTagless = tag === undefined && !path.includes("@");
  const suffix = isTagless && !isAllTags ? ":latest" : "";
  return `${registry}/${isOfficial ? "library/" : ""}${path}${suffix}`;
};

export const command = defineCommand({
  usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
  flags: {
    "all-platforms": bool("Download all platforms of the image, and what is attached to them"),
    "all-tags": bool("Download all tagged images in the repository", "a"),
    "disable-content-trust": contentTrust(),
    platform: text("Set platform if server is multi-platform capable"),
    quiet: bool("Suppress verbose output", "q"),
    referrers: bool("Also download what refers to the image: signatures, SBOMs, attestations"),
  },
  args: ONE,
  run: async ({ context, flags, args }) => {
    const [image = ""] = args;
    const hasTag = splitReference(image).tag !== undefined || image.includes("@");
    if (hasTag && flags["all-tags"]) throw exitError(1, "tag can't be used with --all-tags/-a");
    if (!hasTag && !flags["all-tags"] && !flags.quiet) {
      await context.output.write("stdout", "Using default tag: latest\n");
    }
    if (flags["all-platforms"] && flags.platform !== undefined) {
      throw new NaruError(
        "invalid_argument",
        "--all-platforms and --platform cannot be used together",
      );
    }
    const preferred = flags["all-platforms"] ? undefined : context.env["DOCKER_DEFAULT_PLATFORM"];
    await pullImage(context, image, {
      platform: flags.platform ?? preferred,
      isAllPlatforms: flags["all-platforms"],
      isQuiet: flags.quiet,
      hasReferrers: flags.referrers,
      stream: "stdout",
      isAllTags: flags["all-tags"],
    });
    context.output.line(fullName(image, flags["all-tags"]));
    return 0;
  },
});
