/** The policy on disk, read again when it changes, and the proofs. See trust.ts. */
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { writeFileAtomic } from "#lib/atomic-file.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { parseKey } from "#trust/keys.ts";
import { parsePolicy, verdictOf, wrongPolicy } from "#trust/policy.ts";
import type { Proof, Trust, TrustKey, TrustPolicy, TrustRule, Verdict } from "#trust/trust.ts";
import { type Digest, hexOf } from "#spec/image/digest.ts";

const POLICY_MAX_BYTES = 1024 * 1024;
const KEY_MAX_BYTES = 64 * 1024;

/** What tells that a file is another one than before. */
const stampOf = (path: string): string => {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? "" : `${stat.ino} ${stat.size} ${stat.mtimeMs} ${stat.ctimeMs}`;
};

const readSmall = (path: string, maxBytes: number): string => {
  const { size } = statSync(path);
  if (size > maxBytes) throw new Error(`it has ${size} bytes, ${maxBytes} are allowed`);
  return readFileSync(path, "utf8");
};

class DiskTrust implements Trust {
  readonly path: string;
  readonly #isRequired: boolean;
  readonly #proofs: string;
  #read: { readonly stamp: string; readonly policy: TrustPolicy } | undefined;
  readonly #keys = new Map<string, { readonly stamp: string; readonly key: TrustKey }>();

  constructor(path: string, isRequired: boolean, proofs: string) {
    this.path = path;
    this.#isRequired = isRequired;
    this.#proofs = proofs;
  }

  policy(): TrustPolicy | undefined {
    const stamp = stampOf(this.path);
    if (stamp === "") {
      if (this.#isRequired) throw wrongPolicy(this.path, "there is no such file");
      return undefined;
    }
    if (this.#read?.stamp === stamp) return this.#read.policy;
    this.#read = undefined;
    const policy = parsePolicy(this.#text(), this.path, dirname(this.path));
    for (const rule of Object.values(policy.rules)) this.keys(rule);
    this.#read = { stamp, policy };
    return policy;
  }

  #text(): string {
    try {
      return readSmall(this.path, POLICY_MAX_BYTES);
    } catch (cause) {
      throw wrongPolicy(this.path, `it cannot be read (${toNaruError(cause).message})`, cause);
    }
  }

  verdict(repository: string): Verdict {
    return verdictOf(this.policy(), repository);
  }

  keys(rule: TrustRule): readonly TrustKey[] {
    return rule.keys.map((path) => {
      const stamp = stampOf(path);
      const known = this.#keys.get(path);
      if (known !== undefined && stamp !== "" && known.stamp === stamp) return known.key;
      this.#keys.delete(path);
      try {
        const key = parseKey(readSmall(path, KEY_MAX_BYTES), path);
        this.#keys.set(path, { stamp, key });
        return key;
      } catch (cause) {
        // Not in the system's words: clients take them for a program that is not in the container.
        const isAbsent = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
        const words = cause instanceof Error ? cause.message : String(cause);
        const reason = isAbsent ? "it is not there" : words;
        throw wrongPolicy(this.path, `key "${path}" cannot be used: ${reason}`, cause);
      }
    });
  }

  #pathOf(imageId: Digest): string {
    return join(this.#proofs, `${hexOf(imageId)}.json`);
  }

  proof(imageId: Digest): Proof | undefined {
    try {
      return JSON.parse(readFileSync(this.#pathOf(imageId), "utf8")) as Proof;
    } catch (cause) {
      if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
      throw new NaruError(
        "data_loss",
        `the signatures kept in "${this.#pathOf(imageId)}" cannot be read: pull the image again`,
        { cause },
      );
    }
  }

  keep(imageId: Digest, proof: Proof, isKept: (imageId: Digest) => boolean): void {
    mkdirSync(this.#proofs, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(this.#proofs)) {
      const id = `sha256:${name.replace(/\.json$/, "")}` as Digest;
      if (!isKept(id)) rmSync(join(this.#proofs, name), { force: true });
    }
    writeFileAtomic(this.#pathOf(imageId), JSON.stringify(proof));
  }
}

/** `isRequired`: a policy that was asked for by name must be there. `proofs`: a directory of the daemon's own. */
export const openTrust = (path: string, isRequired: boolean, proofs: string): Trust =>
  new DiskTrust(path, isRequired, proofs);
