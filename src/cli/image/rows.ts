/** Images as rows: one for each tag, as `images` shows them. */
import type { Row } from "#cli/format/listing.ts";
import { ago, formatLocal } from "#cli/format/time.ts";
import { humanSize } from "#cli/format/units.ts";
import { splitReference } from "#cli/image/names.ts";
import type { ImageSummary } from "#spec/docker/image.ts";

const NONE = "<none>";

export const imageHeaders = {
  ID: "IMAGE ID",
  Repository: "REPOSITORY",
  Tag: "TAG",
  Digest: "DIGEST",
  CreatedSince: "CREATED",
  CreatedAt: "CREATED AT",
  Size: "SIZE",
  Containers: "CONTAINERS",
  SharedSize: "SHARED SIZE",
  UniqueSize: "UNIQUE SIZE",
  VirtualSize: "SIZE",
} as const;

export interface ImageLine {
  readonly image: ImageSummary;
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

const isNamed = (reference: string): boolean => !reference.startsWith(NONE);

const splitDigest = (reference: string): { repository: string; digest: string } => {
  const at = reference.indexOf("@");
  return { repository: reference.slice(0, at), digest: reference.slice(at + 1) };
};

/** One line for each tag; with digests also for names that have only a digest. */
const linesOf = (image: ImageSummary, withDigests: boolean): ImageLine[] => {
  const tags = (image.RepoTags ?? []).filter(isNamed).map((reference) => splitReference(reference));
  const digests = (image.RepoDigests ?? []).filter(isNamed).map(splitDigest);
  const lines: ImageLine[] = [];
  for (const { repository, tag = NONE } of tags) {
    const own = withDigests ? digests.filter((item) => item.repository === repository) : [];
    if (own.length === 0) lines.push({ image, repository, tag, digest: NONE });
    else for (const { digest } of own) lines.push({ image, repository, tag, digest });
  }
  const tagged = new Set(tags.map(({ repository }) => repository));
  for (const { repository, digest } of digests) {
    if (!tagged.has(repository)) {
      lines.push({ image, repository, tag: NONE, digest: withDigests ? digest : NONE });
    }
  }
  if (lines.length === 0) lines.push({ image, repository: NONE, tag: NONE, digest: NONE });
  return lines;
};

export const imageLines = (images: readonly ImageSummary[], withDigests: boolean): ImageLine[] => {
  const lines = images.flatMap((image) => linesOf(image, withDigests));
  const seen = new Set<string>();
  return lines.filter(({ image, repository, tag, digest }) => {
    const key = `${image.Id} ${repository} ${tag} ${digest}`;
    return !seen.has(key) && seen.add(key);
  });
};

const sizeOrUnknown = (size: number): string => (size < 0 ? "N/A" : humanSize(size, 3));

export const shortImageId = (id: string): string => id.replace(/^sha256:/, "").slice(0, 12);

export const imageRow = (line: ImageLine, isTruncated: boolean): Row => {
  const { image } = line;
  return {
    ID: () => (isTruncated ? shortImageId(image.Id) : image.Id),
    Repository: () => line.repository,
    Tag: () => line.tag,
    Digest: () => line.digest,
    CreatedSince: () => (image.Created <= 0 ? "N/A" : ago(image.Created)),
    CreatedAt: () => formatLocal(new Date(image.Created * 1000)),
    Size: () => humanSize(image.Size, 3),
    Containers: () => (image.Containers < 0 ? "N/A" : String(image.Containers)),
    SharedSize: () => sizeOrUnknown(image.SharedSize),
    UniqueSize: () => (image.SharedSize < 0 ? "N/A" : humanSize(image.Size - image.SharedSize, 3)),
    VirtualSize: () => humanSize(image.VirtualSize ?? image.Size),
  };
};
