/** The trust policy at pull and use, against what the real cosign left in a registry (src/trust/verify.test.ts). */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type FakeImages, createFakeImages, failureOf } from "#image/images.fake.ts";
import { type FakeRegistry, startRegistry } from "#remote/registry.fake.ts";
import { digestOf } from "#spec/image/digest.ts";
import { OCI_INDEX } from "#spec/image/media-type.ts";
import fixture from "#trust/cosign.fixture.json" with { type: "json" };

let fake: FakeImages;
let registry: FakeRegistry;
beforeEach(() => {
  fake = createFakeImages();
  registry = startRegistry();
  for (const [name, entry] of Object.entries(fixture.manifests))
    registry.manifests.set(name, entry);
  for (const [digest, content] of Object.entries(fixture.blobs)) {
    registry.blobs.set(digest, Buffer.from(content, "base64"));
  }
  registry.referrers = new Map(Object.entries(fixture.referrers));
  for (const [name, pem] of Object.entries(fixture.keys)) {
    writeFileSync(join(fake.root, `${name}.pub`), pem);
  }
});
afterEach(() => {
  fake[Symbol.dispose]();
  registry[Symbol.dispose]();
});

const policy = (rules: unknown): void =>
  writeFileSync(join(fake.root, "trust.json"), JSON.stringify({ rules }));
const signedBy = (...keys: string[]): void =>
  policy({ [registry.host]: { action: "signed", keys: keys.map((key) => `${key}.pub`) } });
const nameOf = (tag: string): string => `${registry.host}/acme/web:${tag}`;
const pull = async (tag: string): Promise<string[]> => {
  const words: string[] = [];
  await fake.images.pull(nameOf(tag), {
    credentials: {},
    isAllTags: false,
    signal: new AbortController().signal,
    onEvent: ({ status }) => void words.push(status),
  });
  return words;
};
const use = (name: string): Promise<string> => {
  const record = fake.images.get(name);
  return failureOf(fake.images.admit(name, record));
};
const layerGets = (): number =>
  registry.log.filter((line) => line.startsWith("GET") && line.includes("/blobs/")).length;

test("a blocked name is refused before anything is asked; the refusal names rule, reason and remedy", async () => {
  policy({ [`${registry.host}/acme`]: { action: "block", reason: "recalled" } });
  const text = await failureOf(pull("legacy"));
  expect(text).toContain(`is blocked by the rule "${registry.host}/acme" of the trust policy`);
  expect(text).toContain("(recalled): take it from a place that is allowed, or change the rule");
  expect(registry.log).toEqual([]);
  const copy = fake.images.copy(nameOf("legacy"), `${registry.host}/other/web:1`, {
    credentials: {},
    targetCredentials: {},
    signal: new AbortController().signal,
    onEvent: () => undefined,
  });
  expect(await failureOf(copy)).toContain("is blocked by the rule");
});

for (const [tag, key] of [
  ["legacy", "p256"],
  ["bundle", "p256"],
  ["bundle-rsa", "rsa"],
  ["legacy-ed25519", "ed25519"],
  ["index-legacy", "p256"],
  ["index-bundle", "p256"],
] as const) {
  test(`"${tag}" is pulled and used by the rule's key, and refused by another`, async () => {
    signedBy("other");
    const text = await failureOf(pull(tag));
    expect(text).toContain("must be signed by the rule");
    expect(text).toContain("no signature counts: it was not made by this key");
    expect(text).toContain(`cosign sign --key KEY ${registry.host}/acme/web@sha256:`);
    expect([...fake.dependencies.rows.list()]).toEqual([]);
    expect(layerGets()).toBeLessThanOrEqual(2); // The config, and what was signed.
    signedBy("other", key);
    expect((await pull(tag)).join("\n")).toContain(`key ${key}.pub`);
    expect(await use(nameOf(tag))).toBe("it did not fail");
    expect(await use(fake.images.resolve(nameOf(tag)))).toBe("it did not fail");
  });
}

test("cosign's own form counts also where it refers to the image instead of having a tag", async () => {
  const digest = digestOf(registry.manifests.get("legacy")!.text);
  const tag = `${digest.replace(":", "-")}.sig`;
  const { text, type } = registry.manifests.get(tag)!;
  registry.manifests.delete(tag);
  registry.manifests.set(digestOf(text), { text, type });
  const artifactType = "application/vnd.dev.cosign.artifact.sig.v1+json";
  const told = [{ mediaType: type, digest: digestOf(text), size: text.length, artifactType }];
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: told };
  signedBy("p256");
  expect(await failureOf(pull("legacy"))).toContain("its registry has no signature of it");
  registry.referrers?.set(digest, JSON.stringify(index));
  expect((await pull("legacy")).join("\n")).toContain("key p256.pub");
  expect(await use(nameOf("legacy"))).toBe("it did not fail");
});

test("an image without a signature, and one with an attestation only, are refused", async () => {
  signedBy("p256");
  expect(await failureOf(pull("unsigned"))).toContain("its registry has no signature of it");
  expect(await failureOf(pull("attested"))).toContain("it is no signature but a statement of type");
});

test("a registry without the referrers API has them under a tag", async () => {
  const listed = [...registry.referrers!];
  registry.referrers = undefined;
  for (const [digest, text] of listed) {
    // As cosign writes it beside docker-registry 2.8: it takes the config's type for the artifact's.
    const written = text.replaceAll(
      "application/vnd.dev.sigstore.bundle.v0.3+json",
      "application/vnd.oci.empty.v1+json",
    );
    registry.manifests.set(digest.replace(":", "-"), {
      text: written,
      type: "application/vnd.oci.image.index.v1+json",
    });
  }
  signedBy("p256");
  expect((await pull("bundle")).join("\n")).toContain("Signature verified: bundle");
});

test("what is here counts by the policy of now: rules and keys that came later", async () => {
  await pull("legacy");
  await pull("unsigned");
  const id = fake.images.resolve(nameOf("unsigned"));
  signedBy("p256");
  expect(await use(nameOf("legacy"))).toContain(
    "no signature of it was verified here: pull it again",
  );
  expect((await pull("legacy")).at(-1)).toContain("Image is up to date");
  expect(await use(nameOf("legacy"))).toBe("it did not fail");
  expect(await failureOf(pull("unsigned"))).toContain("has no signature of it");
  expect(await use(id)).toContain("must be signed");
  // The key was taken away: what it signed goes with it.
  signedBy("other");
  expect(await use(nameOf("legacy"))).toContain("it was not made by this key");
  policy({ [registry.host]: { action: "block" } });
  expect(await use(nameOf("legacy"))).toContain("is blocked by the rule");
  policy({});
  expect(await use(nameOf("unsigned"))).toBe("it did not fail");
});

test("another name makes no unsigned image a signed one", async () => {
  await pull("unsigned");
  fake.images.tag(nameOf("unsigned"), "good/web:1");
  policy({ "good/web": { action: "signed", keys: ["p256.pub"] } });
  expect(await use("good/web:1")).toContain("no signature of it was verified here");
  // By its id all names count.
  expect(await use(fake.images.resolve("good/web:1"))).toContain("must be signed");
  expect(await use(nameOf("unsigned"))).toBe("it did not fail");
});

test("an image without a name falls under '*'", async () => {
  const id = await fake.add("nameless");
  policy({ "*": { action: "block" } });
  expect(await use(id)).toContain("has no name and is blocked by the rule");
});

test("a container that is there falls under the name it was made from, wherever that name went", async () => {
  const id = await fake.add("old", { references: ["app:1"] });
  const again = (typed: string): Promise<string> => failureOf(fake.images.admitAgain(typed, id));
  policy({ "*": { action: "block" }, "docker.io/library/app": { action: "allow" } });
  expect(await again("app:1")).toBe("it did not fail");
  fake.images.tag(await fake.add("new"), "app:1");
  expect(await again("app:1")).toBe("it did not fail");
  expect(await again(id.slice("sha256:".length, 20))).toContain("has no name and is blocked");
  policy({ "docker.io/library/app": { action: "block" } });
  expect(await again("app:1")).toContain("is blocked by the rule");
  expect(await again(id)).toBe("it did not fail");
});

test("proofs of images that are gone go with the next one", async () => {
  signedBy("p256");
  await pull("legacy");
  await fake.images.remove(nameOf("legacy"), { isForced: false, isParentKept: false });
  await pull("bundle");
  const id = fake.images.resolve(nameOf("bundle"));
  expect(readdirSync(join(fake.root, "trust"))).toEqual([`${id.slice("sha256:".length)}.json`]);
});

test("naru trust check tells of both places", async () => {
  await pull("unsigned");
  signedBy("p256");
  const ask = (tag: string) =>
    fake.images.checkTrust(nameOf(tag), {}, new AbortController().signal);
  const unsigned = await ask("unsigned");
  expect([unsigned.here?.isAllowed, unsigned.atRegistry.isAllowed]).toEqual([false, false]);
  expect(unsigned.rule.keys[0]?.fingerprint).toStartWith("SHA256:");
  const bundle = await ask("bundle");
  expect([bundle.here, bundle.atRegistry.isAllowed]).toEqual([undefined, true]);
  expect(bundle.atRegistry.text).toContain("signed by");
});
