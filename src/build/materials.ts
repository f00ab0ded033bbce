/** What a build took from elsewhere, as its provenance names it. */
import type { Material } from "#build/build.ts";
import type { BuildDependencies } from "#build/dependencies.ts";
import type { StageState } from "#build/state.ts";
import { formatPlatform } from "#spec/image/platform.ts";
import { familiarName, parseReference, withDefaultTag } from "#spec/image/reference.ts";

/** A package URL with the digest that the image has at its registry, or else its id. */
export const imageMaterial = (
  { images }: Pick<BuildDependencies, "images">,
  name: string,
  { image, platform }: StageState,
): Material | undefined => {
  if (image === undefined || /^(?:sha256:)?[0-9a-f]{12,64}$/.test(name)) return undefined;
  const reference = withDefaultTag(parseReference(name));
  const record = images.find(image.id);
  const known = record?.repoDigests
    .find((one) => one.startsWith(`${familiarName(reference)}@`))
    ?.split("@")
    .at(-1);
  const [algorithm = "sha256", hex = ""] = (
    reference.digest ??
    known ??
    record?.manifestDigest ??
    image.id
  ).split(":");
  const version = reference.tag ?? "";
  const at = version === "" ? "" : `@${encodeURIComponent(version)}`;
  const query = `platform=${encodeURIComponent(formatPlatform(platform))}`;
  return {
    uri: `pkg:docker/${familiarName(reference)}${at}?${query}`,
    digest: { [algorithm]: hex },
  };
};

/** A file by its address; `hex` is its sha256. */
export const fileMaterial = (url: string, hex: string): Material => ({
  uri: url,
  digest: { sha256: hex },
});

/** A repository at a commit (sha1, or sha256 where the repository has that). */
export const gitMaterial = (remote: string, ref: string, commit: string): Material => ({
  uri: ref === "" ? remote : `${remote}#${ref}`,
  digest: { [commit.length > 40 ? "sha256" : "sha1"]: commit },
});
