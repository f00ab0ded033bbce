import { afterEach, beforeEach, expect, spyOn, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CliContext } from "#cli/context.ts";
import {
  eraseCredentials,
  keyOf,
  registryAuthHeader,
  storeCredentials,
  storedCredentials,
} from "#cli/registry/credentials.ts";

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "naru-login-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));
const environment = () => ({ PATH: `${folder}:${process.env["PATH"]}` });

const config = (): unknown => JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
const contextWith = (content?: object): CliContext => {
  if (content !== undefined) writeFileSync(join(folder, "config.json"), JSON.stringify(content));
  return new CliContext({ config: folder } as never, environment());
};

/** A helper that keeps its entries as files, and speaks the protocol. */
const installHelper = (name: string): void => {
  const program = join(folder, `docker-credential-${name}`);
  writeFileSync(
    program,
    `#!/bin/sh
cd ${folder}
case "$1" in
  store) cat > kept ;;
  get) cat > asked; [ -f kept ] && cat kept || { echo "credentials not found in native keychain"; exit 1; } ;;
  erase) rm -f kept ;;
  *) echo "unknown verb"; exit 1 ;;
esac
`,
  );
  chmodSync(program, 0o755);
};

test("registries by the names people give them", () => {
  const HUB = "https://index.docker.io/v1/";
  for (const name of ["docker.io", "https://index.docker.io/v1/", "registry-1.docker.io"]) {
    expect(keyOf(name)).toBe(HUB);
  }
  expect(keyOf("https://ghcr.io/v2/")).toBe("ghcr.io");
  expect(keyOf("localhost:5000")).toBe("localhost:5000");
});

test("without a helper they are in config.json, which keeps the rest and is the user's alone", async () => {
  const content = { psFormat: "x", auths: { "other.io": { auth: "YTpi" } }, unknown: { a: 1 } };
  expect(
    await storeCredentials(contextWith(content), "r.io:1", { username: "u", password: "p:q" }),
  ).toBeUndefined();
  expect(config()).toEqual({
    ...content,
    auths: { ...content.auths, "r.io:1": { auth: btoa("u:p:q") } },
  });
  expect(statSync(join(folder, "config.json")).mode & 0o777).toBe(0o600);
  expect(await storedCredentials(contextWith(), "r.io:1")).toEqual({
    username: "u",
    password: "p:q",
  });
  const header = await registryAuthHeader(contextWith(), "r.io:1/a/b:2");
  expect(JSON.parse(Buffer.from(header["X-Registry-Auth"]!, "base64url").toString())).toEqual({
    username: "u",
    password: "p:q",
    serveraddress: "r.io:1",
  });
  expect(await eraseCredentials(contextWith(), "r.io:1")).toBe(true);
  expect(config()).toEqual(content);
  expect(await eraseCredentials(contextWith(), "r.io:1")).toBe(false);
});

test("an identity token replaces the password", async () => {
  await storeCredentials(contextWith(), "r.io", { username: "u", identitytoken: "t" });
  expect(config()).toEqual({ auths: { "r.io": { auth: btoa("u:"), identitytoken: "t" } } });
  expect(await storedCredentials(contextWith(), "r.io")).toMatchObject({ identitytoken: "t" });
});

for (const content of [{ credsStore: "keep" }, { credHelpers: { "r.io": "keep" } }]) {
  test(`a helper keeps them: ${Object.keys(content)[0]}`, async () => {
    installHelper("keep");
    expect(await storedCredentials(contextWith(content), "r.io")).toBeUndefined();
    expect(await storeCredentials(contextWith(), "r.io", { username: "u", password: "p" })).toBe(
      "keep",
    );
    expect(config()).toEqual({ ...content, auths: { "r.io": {} } });
    expect(await storedCredentials(contextWith(), "r.io")).toEqual({
      username: "u",
      password: "p",
    });
    expect(readFileSync(join(folder, "asked"), "utf8")).toBe("r.io");
    expect(await eraseCredentials(contextWith(), "r.io")).toBe(true);
    expect(await storedCredentials(contextWith(), "r.io")).toBeUndefined();
  });
}

test("a helper that is not there, or fails, is named", async () => {
  const missing = storedCredentials(contextWith({ credsStore: "nowhere" }), "r.io");
  expect(await missing.catch((error: Error) => error.message)).toContain(
    '"docker-credential-nowhere" is not on the PATH',
  );
  installHelper("keep");
  const { askHelper } = await import("#cli/registry/helper.ts");
  const failing = askHelper(environment(), "keep", "list", "");
  expect(await failing.catch((error: Error) => error.message)).toContain("unknown verb");
});

test("a helper that is gone, locked or broken does not keep anybody from public images: it is told, once", async () => {
  for (const [name, answer] of [
    ["locked", 'echo "the keychain is locked"; exit 1'],
    ["broken", "echo no JSON"],
  ] as const) {
    writeFileSync(join(folder, `docker-credential-${name}`), `#!/bin/sh\n${answer}\n`, {
      mode: 0o755,
    });
  }
  for (const [credsStore, reason] of [
    ["gone-with-the-desktop", '"docker-credential-gone-with-the-desktop" is not on the PATH'],
    ["locked", "the keychain is locked"],
    ["broken", "something else than JSON"],
  ] as const) {
    const context = contextWith({ credsStore });
    const said = spyOn(context.output, "error").mockImplementation(() => undefined);
    expect(await registryAuthHeader(context, "r.io/a/b:1")).toEqual({});
    expect(await registryAuthHeader(context, "r.io/a/c:1")).toEqual({});
    expect(said.mock.calls.flat()).toEqual([
      expect.stringMatching(/^WARNING: going on without credentials for r\.io: /),
    ]);
    expect(said.mock.calls.flat()[0]).toContain(reason);
  }
});

test("a config.json that cannot be read is told, goes for empty, and is not written over", async () => {
  for (const text of ["garbage", "[]", '{"auths": 1}']) {
    const path = join(folder, "config.json");
    writeFileSync(path, text);
    const context = contextWith();
    const told = spyOn(context.output, "error").mockImplementation(() => undefined);
    expect(await registryAuthHeader(context, "r.io/a")).toEqual({});
    expect(told.mock.calls.flat().join()).toContain(`WARNING: Error parsing config file (${path})`);
    const storing = storeCredentials(context, "r.io", { username: "u", password: "p" });
    expect(storing).rejects.toThrow("nothing was changed");
    await storing.catch(() => undefined);
    expect(readFileSync(path, "utf8")).toBe(text);
  }
  writeFileSync(join(folder, "config.json"), "");
  await storeCredentials(contextWith(), "r.io", { username: "u", password: "p" });
  expect(config()).toEqual({ auths: { "r.io": { auth: btoa("u:p") } } });
});
