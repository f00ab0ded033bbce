/**
 * Writes src/trust/cosign.fixture.json: small images in a registry, signed by the real cosign in each of its forms.
 * Only for whoever changes the fixture; the tests read the file.
 *
 *     go install github.com/sigstore/cosign/v2/cmd/cosign@v2.6.5
 *     COSIGN=~/go/bin/cosign node_modules/.bin/bun scripts/cosign-fixtures.ts
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { layer } from "#image/archive.fake.ts";
import { digestOf } from "#spec/image/digest.ts";
import { OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST } from "#spec/image/media-type.ts";

const cosign = process.env["COSIGN"] ?? "cosign";
const root = resolve(import.meta.dir, "..");
const directory = mkdtempSync(join(tmpdir(), "naru-cosign-"));
const REPOSITORY = "acme/web";

const registry = Bun.spawn(
  [
    `${root}/dist/naru`,
    "registry",
    "serve",
    "--addr",
    "127.0.0.1:0",
    "--data-root",
    `${directory}/r`,
  ],
  { stdin: "ignore", stdout: "pipe", stderr: "inherit" },
);
const ready = await registry.stdout.getReader().read();
const url = /ready (\S+)/.exec(Buffer.from(ready.value ?? []).toString())?.[1] ?? "";
const host = url.replace("http://", "");

const run = async (...argv: string[]): Promise<void> => {
  const child = Bun.spawn([cosign, ...argv], {
    cwd: directory,
    env: { ...process.env, COSIGN_PASSWORD: "" },
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
  });
  if ((await child.exited) !== 0) throw new Error(`cosign ${argv.join(" ")} failed`);
};

const put = async (path: string, type: string, content: string | Uint8Array): Promise<void> => {
  const body = typeof content === "string" ? content : new Uint8Array(content);
  const headers = { "Content-Type": type };
  const method = path.includes("/uploads/") ? "POST" : "PUT";
  const response = await fetch(`${url}/v2/${REPOSITORY}/${path}`, { method, headers, body });
  if (response.status !== 201) throw new Error(`${path}: ${await response.text()}`);
};

const blob = async (content: string | Uint8Array) => {
  const digest = digestOf(content);
  await put(`blobs/uploads/?digest=${digest}`, "application/octet-stream", content);
  return { digest, size: Buffer.byteLength(content) };
};

const architecture = process.arch === "x64" ? "amd64" : process.arch;

const image = async (tag: string): Promise<string> => {
  const tar = layer(tag);
  const config = JSON.stringify({
    architecture,
    os: "linux",
    config: { Cmd: [tag] },
    rootfs: { type: "layers", diff_ids: [digestOf(tar)] },
  });
  const text = JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, ...(await blob(config)) },
    layers: [{ mediaType: OCI_LAYER_GZIP, ...(await blob(Bun.gzipSync(new Uint8Array(tar)))) }],
  });
  await put(`manifests/${tag}`, OCI_MANIFEST, text);
  return digestOf(text);
};

const index = async (tag: string): Promise<string> => {
  const digest = await image(`${tag}-${architecture}`);
  const { byteLength: size } = await (
    await fetch(`${url}/v2/${REPOSITORY}/manifests/${digest}`)
  ).arrayBuffer();
  const platform = { os: "linux", architecture };
  const text = JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [{ mediaType: OCI_MANIFEST, digest, size, platform }],
  });
  await put(`manifests/${tag}`, OCI_INDEX, text);
  return digestOf(text);
};

const sign = (key: string, digest: string, ...more: string[]): Promise<void> =>
  run(
    "sign",
    "--yes",
    "--key",
    key,
    "--tlog-upload=false",
    ...more,
    `${host}/${REPOSITORY}@${digest}`,
  );
const BUNDLE = "--new-bundle-format";

const keyPair = async (name: string, pem?: string): Promise<string> => {
  if (pem === undefined) await run("generate-key-pair", "--output-key-prefix", name);
  else {
    writeFileSync(`${directory}/${name}.pem`, pem);
    await run("import-key-pair", "--key", `${name}.pem`, "--output-key-prefix", name);
  }
  return `${name}.key`;
};

const { generateKeyPairSync } = await import("node:crypto");
const pem = { type: "pkcs8", format: "pem" } as const;
const p256 = await keyPair("p256");
const other = await keyPair("other");
const rsa = await keyPair(
  "rsa",
  generateKeyPairSync("rsa", { modulusLength: 3072 }).privateKey.export(pem).toString(),
);
const ed25519 = await keyPair(
  "ed25519",
  generateKeyPairSync("ed25519").privateKey.export(pem).toString(),
);

await image("unsigned");
await sign(p256, await image("legacy"));
await sign(p256, await image("bundle"), BUNDLE);
await sign(rsa, await image("legacy-rsa"));
await sign(rsa, await image("bundle-rsa"), BUNDLE);
await sign(ed25519, await image("legacy-ed25519"));
await sign(ed25519, await image("bundle-ed25519"), BUNDLE);
await sign(other, await image("other"));
await sign(p256, await index("index-legacy"));
await sign(p256, await index("index-bundle"), BUNDLE);
writeFileSync(`${directory}/predicate.json`, '{"scan":"bad"}');
const attested = await image("attested");
const statement = ["--predicate", "predicate.json", "--type", "https://example.com/scan/v1"];
await run(
  "attest",
  "--yes",
  "--key",
  p256,
  "--tlog-upload=false",
  BUNDLE,
  ...statement,
  `${host}/${REPOSITORY}@${attested}`,
);

/** All that the repository has: by tag and by digest. */
const manifests: Record<string, { type: string; text: string }> = {};
const blobs: Record<string, string> = {};
const referrers: Record<string, string> = {};
const visit = async (reference: string): Promise<void> => {
  if (manifests[reference] !== undefined) return;
  const response = await fetch(`${url}/v2/${REPOSITORY}/manifests/${reference}`, {
    headers: { Accept: `${OCI_INDEX}, ${OCI_MANIFEST}, */*` },
  });
  const text = await response.text();
  manifests[reference] = { type: response.headers.get("content-type") ?? "", text };
  const digest = digestOf(text);
  manifests[digest] = manifests[reference];
  const found = await (await fetch(`${url}/v2/${REPOSITORY}/referrers/${digest}`)).text();
  const listed = (JSON.parse(found) as { manifests: { digest: string }[] }).manifests;
  if (listed.length > 0) referrers[digest] = found;
  for (const one of listed) await visit(one.digest);
  const document = JSON.parse(text) as Record<string, { digest: string }[] & { digest: string }>;
  for (const one of document["manifests"] ?? []) await visit(one.digest);
  for (const one of [document["config"], ...(document["layers"] ?? [])]) {
    if (one === undefined) continue;
    const bytes = await (await fetch(`${url}/v2/${REPOSITORY}/blobs/${one.digest}`)).bytes();
    blobs[one.digest] = Buffer.from(bytes).toString("base64");
  }
};
const { tags } = (await (await fetch(`${url}/v2/${REPOSITORY}/tags/list`)).json()) as {
  tags: string[];
};
for (const tag of tags) await visit(tag);

const keys = Object.fromEntries(
  ["p256", "other", "rsa", "ed25519"].map((name) => [
    name,
    readFileSync(`${directory}/${name}.pub`, "utf8"),
  ]),
);
registry.kill();
await registry.exited;
rmSync(directory, { recursive: true, force: true });
writeFileSync(
  `${root}/src/trust/cosign.fixture.json`,
  `${JSON.stringify({ keys, manifests, blobs, referrers }, undefined, 1)}\n`,
);
