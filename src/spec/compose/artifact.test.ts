import { expect, test } from "bun:test";
import type { ArtifactFile } from "#spec/compose/artifact.ts";
import {
  artifactManifest,
  checkProject,
  filesOfArtifact,
  projectIn,
} from "#spec/compose/artifact.ts";

const FILES: readonly ArtifactFile[] = [
  { kind: "compose", name: "compose.yaml", text: "services: {}\n" },
  { kind: "compose", name: "over.yaml", text: "x-a: 1\n" },
  { kind: "extended", name: "ab.yaml", text: "x-b: 2\n" },
  { kind: "env", name: "cd.env", text: "A=1\n" },
];

const OPTIONS = { version: "1", createdAt: "2026-01-02T03:04:05Z" } as const;

const digestOf = (text: string): string =>
  `sha256:${new Bun.CryptoHasher("sha256").update(text).digest("hex")}`;
const BLOBS = new Map(FILES.map(({ text }) => [digestOf(text), text]));
const blobOf = (digest: string): string => BLOBS.get(digest) ?? "";

test.each(["1.0", "1.1"] as const)("what is written as OCI %s is read", (ociVersion) => {
  const manifest = artifactManifest(FILES, { ...OPTIONS, ociVersion });
  expect(() => checkProject(manifest, "x")).not.toThrow();
  expect(projectIn(manifest, "x")).toBeUndefined();
  expect([...filesOfArtifact(manifest, "x", blobOf)]).toEqual([
    ["compose.yaml", "services: {}\n\n---\nx-a: 1\n"],
    ["ab.yaml", "x-b: 2\n"],
    ["cd.env", "A=1\n"],
  ]);
});

test("the manifest has the words that docker compose looks for", () => {
  const manifest: unknown = JSON.parse(artifactManifest(FILES, { ...OPTIONS, ociVersion: "1.1" }));
  expect(manifest).toMatchObject({
    schemaVersion: 2,
    artifactType: "application/vnd.docker.compose.project",
    config: { mediaType: "application/vnd.oci.empty.v1+json", size: 2, data: "e30=" },
    layers: [
      {
        mediaType: "application/vnd.docker.compose.file+yaml",
        annotations: {
          "com.docker.compose.file": "compose.yaml",
          "com.docker.compose.version": "1",
        },
      },
      { annotations: { "com.docker.compose.file": "over.yaml" } },
      {
        annotations: { "com.docker.compose.extends": "true", "com.docker.compose.file": "ab.yaml" },
      },
      {
        mediaType: "application/vnd.docker.compose.envfile",
        annotations: { "com.docker.compose.envfile": "cd.env" },
      },
    ],
  });
});

test("an index gives the project in it, others are refused", () => {
  const artifactType = "application/vnd.docker.compose.project";
  const index = { manifests: [{ digest: "sha256:1" }, { digest: "sha256:2", artifactType }] };
  expect(projectIn(JSON.stringify(index), "x")).toBe("sha256:2");
  expect(() => projectIn(JSON.stringify({ manifests: [] }), "oci://x")).toThrow(
    '"oci://x" holds no compose project',
  );
  const image = { config: { mediaType: "application/vnd.oci.image.config.v1+json" }, layers: [] };
  expect(() => checkProject(JSON.stringify(image), "oci://x")).toThrow(
    '"oci://x" is no compose project but "application/vnd.oci.image.config.v1+json"',
  );
  expect(() => checkProject("no", "oci://x")).toThrow("is no JSON");
});

test.each(["../a", "a/b", "..", ".", "", "a\\b"])("a file called %j leads nowhere else", (name) => {
  for (const kind of ["extended", "env"] as const) {
    const files: ArtifactFile[] = [FILES[0]!, { kind, name, text: "A=1\n" }];
    const manifest = artifactManifest(files, { ...OPTIONS, ociVersion: "1.1" });
    expect(() => filesOfArtifact(manifest, "x", blobOf)).toThrow("no name of a file");
  }
});

test("a project that would fill the memory is refused before anything of it is fetched", () => {
  const size = 16 * 1024 * 1024;
  const layers = Array.from({ length: 5 }, () => ({ mediaType: "x/y", digest: "sha256:1", size }));
  const artifactType = "application/vnd.docker.compose.project";
  const manifestOf = (count: number): string =>
    JSON.stringify({ artifactType, layers: layers.slice(0, count) });
  expect(() => checkProject(manifestOf(4), "oci://x")).not.toThrow();
  expect(() => checkProject(manifestOf(5), "oci://x")).toThrow(
    '"oci://x" is too large for a compose project: its files have 83886080 bytes',
  );
});

test("without a compose file it is nothing", () => {
  const manifest = artifactManifest([FILES[3]!], { ...OPTIONS, ociVersion: "1.1" });
  expect(() => filesOfArtifact(manifest, "x", blobOf)).toThrow('"x" has no compose file');
});
