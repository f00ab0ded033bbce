/** Public keys of rules: PEM files, as `cosign generate-key-pair` and openssl write them. */
import type { KeyObject } from "node:crypto";
import { lateCrypto } from "#lib/late-builtins.ts";
import type { TrustKey } from "#trust/trust.ts";

const RSA_BITS_MIN = 2048;

const kindOf = (key: KeyObject): string | undefined => {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const bits = details?.modulusLength ?? 0;
  if (type === "ec" && details?.namedCurve === "prime256v1") return "ECDSA P-256";
  if (type === "ed25519") return "Ed25519";
  return type === "rsa" && bits >= RSA_BITS_MIN ? `RSA ${bits}` : undefined;
};

/** Throws an Error with what is wrong with it. */
export const parseKey = (pem: string, path: string): TrustKey => {
  if (pem.includes("PRIVATE KEY")) {
    throw new Error("it is a private key: name the public one (cosign.pub)");
  }
  const { createHash, createPublicKey } = lateCrypto();
  const key = createPublicKey(pem);
  const kind = kindOf(key);
  if (kind === undefined) {
    throw new Error(
      `its kind is not supported: use ECDSA P-256, Ed25519, or RSA of ${RSA_BITS_MIN} bits and more`,
    );
  }
  const der = key.export({ type: "spki", format: "der" });
  const sum = createHash("sha256").update(der).digest("base64").replace(/=+$/, "");
  return { path, fingerprint: `SHA256:${sum}`, kind, pem };
};
