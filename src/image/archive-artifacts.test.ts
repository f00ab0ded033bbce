import { expect, test } from "bun:test";
import { artifactsOf } from "#image/archive-artifacts.ts";
import type { ArchiveFile } from "#image/archive-files.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import { digestOf } from "#spec/image/digest.ts";

const INDEX = "application/vnd.oci.image.index.v1+json";
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";

test("an artifact with a name keeps it where an index that refers to another lists it too", () => {
  const files = new Map<string, ArchiveFile>();
  const add = (mediaType: string, text: string): Descriptor => {
    const digest = digestOf(text);
    const sizeBytes = Buffer.byteLength(text);
    files.set(`blobs/${digest.replace(":", "/")}`, { digest, sizeBytes, text });
    return { mediaType, digest, size: sizeBytes };
  };
  const manifestOf = (extra: object): Descriptor => {
    const config = add("application/vnd.oci.empty.v1+json", "{}");
    const document = { schemaVersion: 2, mediaType: MANIFEST, config, layers: [], ...extra };
    return add(MANIFEST, JSON.stringify(document));
  };
  const artifact = manifestOf({ artifactType: "text/plain" });
  const subject = manifestOf({ artifactType: "text/html" });
  const document = { schemaVersion: 2, mediaType: INDEX, manifests: [artifact], subject };
  const index = add(INDEX, JSON.stringify(document));
  const annotations = { "org.opencontainers.image.ref.name": "example.com/a:1" };
  const named = { ...artifact, annotations };
  for (const order of [
    [named, index],
    [index, named],
  ]) {
    const found = artifactsOf({ files, links: new Map() }, order);
    const own = found.find(({ digest }) => digest === artifact.digest);
    expect([own?.references, own?.isReferrer]).toEqual([["example.com/a:1"], false]);
  }
});
