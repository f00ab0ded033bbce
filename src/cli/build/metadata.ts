/** `--metadata-file`: what the outputs tell, as other builders of images write it. */

const DESCRIPTOR = "containerimage.descriptor";

interface Built {
  readonly imageId: string;
  readonly tags: readonly string[];
  readonly metadata?: Readonly<Record<string, string>>;
}

/** JSON. Descriptors come as base64 of theirs. */
export const metadataText = ({ imageId, tags, metadata }: Built): string => {
  const plain: Record<string, string> = {
    "containerimage.config.digest": imageId,
    "containerimage.digest": imageId,
    ...(tags.length === 0 ? {} : { "image.name": tags.join(",") }),
  };
  const told = metadata ?? plain;
  const encoded = told[DESCRIPTOR];
  const descriptor: object =
    encoded === undefined
      ? {}
      : { [DESCRIPTOR]: JSON.parse(Buffer.from(encoded, "base64").toString()) as unknown };
  return `${JSON.stringify({ ...told, ...descriptor }, undefined, 2)}\n`;
};
