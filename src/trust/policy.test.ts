import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NaruError } from "#lib/errors.ts";
import { parsePolicy, verdictOf } from "#trust/policy.ts";
import { openTrust } from "#trust/store.ts";
import fixture from "#trust/cosign.fixture.json" with { type: "json" };
import { digestOf } from "#spec/image/digest.ts";

let root: string;
let path: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "naru-trust-"));
  path = join(root, "trust.json");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const write = (policy: unknown): void => writeFileSync(path, JSON.stringify(policy));
const open = () => openTrust(path, false, join(root, "proofs"));
const failure = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof NaruError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "it did not fail";
};

test("the longest prefix wins, in whole parts; '*' is for all others", () => {
  const rule = (action: string) => ({ action });
  const rules = {
    "*": rule("block"),
    "docker.io": rule("allow"),
    "acme/web": rule("block"),
    "ghcr.io/acme": { action: "signed", keys: ["k.pub"] },
    "localhost:5000": rule("allow"),
    alpine: rule("block"),
  };
  const policy = parsePolicy(JSON.stringify({ rules }), path, "/etc/naru");
  const said = (repository: string): string => {
    const { prefix, rule: found } = verdictOf(policy, repository);
    return `${prefix} ${found.action}`;
  };
  expect(said("docker.io/library/debian")).toBe("docker.io allow");
  expect(said("docker.io/library/alpine")).toBe("alpine block");
  expect(said("docker.io/acme/web")).toBe("acme/web block");
  expect(said("docker.io/acme/web2")).toBe("docker.io allow");
  expect(said("ghcr.io/acme/a/b")).toBe("ghcr.io/acme signed");
  expect(said("ghcr.io/acmeister/a")).toBe("* block");
  expect(said("localhost:5000/x")).toBe("localhost:5000 allow");
  expect(policy.rules["ghcr.io/acme"]!.keys).toEqual(["/etc/naru/k.pub"]);
  expect(verdictOf(undefined, "docker.io/a/b").rule.action).toBe("allow");
});

test("what is no policy is refused by name", () => {
  const cases: [unknown, string][] = [
    [[], "must be an object"],
    [{ rule: {} }, 'unknown key "rule" (known: rules)'],
    [{ rules: [] }, '"rules" must be an object'],
    [{ rules: { a: "allow" } }, '"a": a rule must be an object'],
    [{ rules: { a: {} } }, '"action" must be one of allow, block, signed'],
    [{ rules: { a: { action: "deny" } } }, '"action" must be one of'],
    [{ rules: { a: { action: "allow", key: "x" } } }, 'unknown key "key"'],
    [{ rules: { a: { action: "signed" } } }, "needs at least one"],
    [{ rules: { a: { action: "allow", keys: ["x"] } } }, '"keys" belong to the action "signed"'],
    [{ rules: { a: { action: "signed", keys: "x" } } }, '"keys" must be a list'],
    [{ rules: { a: { action: "allow", reason: 1 } } }, '"reason" must be a text'],
    [{ rules: { "a:v1": { action: "allow" } } }, "neither tag nor digest"],
    [{ rules: { "Acme/x y": { action: "allow" } } }, "is no prefix of names"],
  ];
  for (const [value, words] of cases) {
    const text = failure(() => parsePolicy(JSON.stringify(value), path, root));
    expect(text).toStartWith(`failed_precondition: trust policy "${path}"`);
    expect(text).toContain(words);
  }
  expect(failure(() => parsePolicy("{", path, root))).toContain("it is no JSON");
});

test("no file allows everything; one that was asked for by name must be there", () => {
  expect(open().policy()).toBeUndefined();
  expect(open().verdict("docker.io/a/b").rule.action).toBe("allow");
  const trust = openTrust(path, true, join(root, "proofs"));
  expect(failure(() => trust.verdict("docker.io/a/b"))).toContain("there is no such file");
});

test("a changed policy, and a changed key, count at once", () => {
  const trust = open();
  write({ rules: { "*": { action: "block" } } });
  expect(trust.verdict("docker.io/a/b").rule.action).toBe("block");
  const keyPath = join(root, "acme.pub");
  writeFileSync(keyPath, fixture.keys.p256);
  write({ rules: { "*": { action: "signed", keys: ["acme.pub"] } } });
  const { rule } = trust.verdict("docker.io/a/b");
  expect(trust.keys(rule).map(({ kind }) => kind)).toEqual(["ECDSA P-256"]);
  writeFileSync(keyPath, fixture.keys.ed25519);
  expect(trust.keys(rule).map(({ kind }) => kind)).toEqual(["Ed25519"]);
  writeFileSync(keyPath, "no key");
  expect(failure(() => trust.keys(rule))).toContain(`key "${keyPath}" cannot be used`);
  writeFileSync(path, "{");
  expect(failure(() => trust.verdict("docker.io/a/b"))).toContain("no image can be pulled or run");
  rmSync(path);
  expect(trust.policy()).toBeUndefined();
});

test("a private key, a missing one and one of an unknown kind are refused", () => {
  write({ rules: { "*": { action: "signed", keys: ["x.pub"] } } });
  expect(failure(() => open().policy())).toContain("cannot be used: it is not there");
  writeFileSync(join(root, "x.pub"), "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n");
  expect(failure(() => open().policy())).toContain("it is a private key");
});

test("proofs are kept by image; those of images that are gone go", () => {
  const trust = open();
  const [first, second] = [digestOf("1"), digestOf("2")];
  const proof = { chain: ["{}"], signatures: [] };
  expect(trust.proof(first)).toBeUndefined();
  trust.keep(first, proof, () => true);
  trust.keep(second, proof, (id) => id !== first);
  expect(trust.proof(first)).toBeUndefined();
  expect(trust.proof(second)).toEqual(proof);
});
