/** Signatures as the real cosign 2.6.5 made them: scripts/cosign-fixtures.ts writes the fixture. */
import { expect, test } from "bun:test";
import { parseKey } from "#trust/keys.ts";
import type { Proof, Signature, TrustKey } from "#trust/trust.ts";
import { verifyProof } from "#trust/verify.ts";
import fixture from "#trust/cosign.fixture.json" with { type: "json" };
import { type Digest, digestOf } from "#spec/image/digest.ts";

type Manifests = Record<string, { text: string }>;
interface Layer {
  readonly digest: string;
  readonly annotations?: Record<string, string>;
}
interface Document {
  readonly config: Layer;
  readonly layers: readonly Layer[];
  readonly manifests: readonly Layer[];
}

const manifests = fixture.manifests as Manifests;
const textOf = (reference: string): string => manifests[reference]!.text;
const documentOf = (text: string): Document => JSON.parse(text) as Document;
const bytesOf = (digest: string): Buffer =>
  Buffer.from((fixture.blobs as Record<string, string>)[digest]!, "base64");
const key = (name: keyof typeof fixture.keys): TrustKey =>
  parseKey(fixture.keys[name], `/keys/${name}.pub`);

const signaturesOf = (digest: string): Signature[] => {
  const tagged = manifests[`${digest.replace(":", "-")}.sig`];
  const simple = (tagged === undefined ? [] : documentOf(tagged.text).layers).map(
    ({ digest: payload, annotations }): Signature => ({
      form: "simple-signing",
      payload: bytesOf(payload).toString("base64"),
      signature: annotations!["dev.cosignproject.cosign/signature"]!,
    }),
  );
  const listed = (fixture.referrers as Record<string, string>)[digest];
  const bundles = (listed === undefined ? [] : documentOf(listed).manifests).map(
    (one): Signature => ({
      form: "bundle",
      bundle: bytesOf(documentOf(textOf(one.digest)).layers[0]!.digest).toString("utf8"),
    }),
  );
  return [...simple, ...bundles];
};

const proofOf = (tag: string): { proof: Proof; imageId: Digest } => {
  const top = textOf(tag);
  const { manifests: listed } = documentOf(top);
  const chain = listed === undefined ? [top] : [top, textOf(listed[0]!.digest)];
  const signatures = signaturesOf(digestOf(top));
  return {
    proof: { chain, signatures },
    imageId: documentOf(chain.at(-1)!).config.digest as Digest,
  };
};

const verdictOf = (tag: string, ...names: (keyof typeof fixture.keys)[]) => {
  const { proof, imageId } = proofOf(tag);
  return verifyProof(proof, imageId, names.map(key));
};

for (const [tag, name, form] of [
  ["legacy", "p256", "simple-signing"],
  ["legacy-rsa", "rsa", "simple-signing"],
  ["legacy-ed25519", "ed25519", "simple-signing"],
  ["index-legacy", "p256", "simple-signing"],
  ["bundle", "p256", "bundle"],
  ["bundle-rsa", "rsa", "bundle"],
  ["bundle-ed25519", "ed25519", "bundle"],
  ["index-bundle", "p256", "bundle"],
] as const) {
  test(`cosign's signature of "${tag}" is good by its key, and by no other`, () => {
    const { verified } = verdictOf(tag, "other", name);
    expect(verified?.key.path).toBe(`/keys/${name}.pub`);
    expect(verified?.form).toBe(form);
    const stranger = verdictOf(tag, "other");
    expect(stranger.verified).toBeUndefined();
    expect(stranger.reasons.join()).toContain("not made by this key");
  });
}

test("a signature of one image is none of another", () => {
  for (const [signed, form] of [
    ["legacy", "it is a signature of sha256:"],
    ["bundle", "it is a signature of something else"],
  ] as const) {
    const { signatures } = proofOf(signed).proof;
    const { proof, imageId } = proofOf("unsigned");
    const { verified, reasons } = verifyProof({ ...proof, signatures }, imageId, [key("p256")]);
    expect(verified).toBeUndefined();
    expect(reasons.join()).toContain(form);
  }
});

test("a good signature of a manifest that does not lead to the image is none", () => {
  const { proof } = proofOf("legacy");
  const { imageId } = proofOf("unsigned");
  const { verified, reasons } = verifyProof(proof, imageId, [key("p256")]);
  expect(verified).toBeUndefined();
  expect(reasons[0]).toContain("does not lead to image");
});

test("an attestation by the same key is no signature", () => {
  const { verified, reasons } = verdictOf("attested", "p256");
  expect(verified).toBeUndefined();
  expect(reasons).toEqual([
    'it is no signature but a statement of type "https://example.com/scan/v1"',
  ]);
});

test("altered payloads, signatures and bundles are refused, and never throw", () => {
  const legacy = proofOf("legacy");
  const [simple] = legacy.proof.signatures as Extract<Signature, { form: "simple-signing" }>[];
  const bundled = proofOf("bundle");
  const [bundle] = bundled.proof.signatures as Extract<Signature, { form: "bundle" }>[];
  const changed = Buffer.from(simple!.payload, "base64").toString().replace("acme", "evil");
  const parsed = JSON.parse(bundle!.bundle) as {
    dsseEnvelope: { payload: string; payloadType: string };
  };
  const envelope = parsed.dsseEnvelope;
  const other = Buffer.from(
    Buffer.from(envelope.payload, "base64").toString().replace("subject", "subJect"),
  ).toString("base64");
  const cases: [typeof legacy, Signature][] = [
    [legacy, { ...simple!, payload: Buffer.from(changed).toString("base64") }],
    [legacy, { ...simple!, signature: "AAAA" }],
    [legacy, { ...simple!, signature: "" }],
    [legacy, { ...simple!, payload: "" }],
    [bundled, { form: "bundle", bundle: "{}" }],
    [bundled, { form: "bundle", bundle: "no json" }],
    [
      bundled,
      {
        form: "bundle",
        bundle: JSON.stringify({ ...parsed, dsseEnvelope: { ...envelope, payload: other } }),
      },
    ],
    [
      bundled,
      {
        form: "bundle",
        bundle: JSON.stringify({
          ...parsed,
          dsseEnvelope: { ...envelope, payloadType: "text/plain" },
        }),
      },
    ],
    [
      bundled,
      {
        form: "bundle",
        bundle: JSON.stringify({ ...parsed, dsseEnvelope: { ...envelope, signatures: [] } }),
      },
    ],
  ];
  for (const [{ proof, imageId }, signature] of cases) {
    const { verified, reasons } = verifyProof({ ...proof, signatures: [signature] }, imageId, [
      key("p256"),
    ]);
    expect(verified).toBeUndefined();
    expect(reasons).toHaveLength(1);
  }
});
