import { expect, test } from "bun:test";

import { checkBuild, checkContext, printChecks } from "#cli/build/check.ts";
import { mayRefuse } from "#cli/build/warnings.ts";
import { Output } from "#cli/output.ts";
import type { Client } from "#client/client.ts";
import { NaruError } from "#lib/errors.ts";

const REQUEST = { target: undefined, platform: undefined, buildArgs: {}, contexts: [] };

const loaded = (text: string, ignore = "") => ({
  dockerfile: Buffer.from(text),
  directory: { root: "/", prefix: "context/", ignore },
});

/** An engine that has the image golang alone. */
const client = {
  call: async (_route: string, { name }: { name: string }) => {
    if (!name.includes("golang")) throw new NaruError("not_found", `No such image: ${name}`);
    return { Config: { Env: ["GOPATH=/go"] }, Os: "linux", Architecture: process.arch };
  },
} as unknown as Client;

const rulesOf = async (text: string, ignore?: string): Promise<readonly string[]> =>
  (await checkContext(loaded(text, ignore), REQUEST, client)).warnings.map((w) => w.rule);

class Lines extends Output {
  readonly lines: string[] = [];
  override line(text: string): void {
    this.lines.push(text);
  }
}

test("variables are judged by the images that the engine has", async () => {
  expect(await rulesOf("FROM golang\nCOPY a $GOPATH$NOPE")).toEqual(["UndefinedVar"]);
  expect(await rulesOf("FROM other\nCOPY a $GOPATH$NOPE")).toEqual([]);
});

test("the context's .dockerignore counts", async () => {
  expect(await rulesOf("FROM golang\nCOPY a.md /", "*.md")).toEqual(["CopyIgnoredFile"]);
});

test("--check prints what is wrong and says so by its exit code", async () => {
  const output = new Lines();
  const context = loaded("FROM golang\nCMD x");
  expect(printChecks(context, await checkContext(context, REQUEST, client), output)).toBe(1);
  expect(output.lines[0]).toBe("WARNING: JSONArgsRecommended (line 2)");
  expect(output.lines.at(-1)).toBe("Check complete: 1 warning found.");
});

test("what is no Dockerfile is the engine's to tell in a build, and told at once by --check", async () => {
  expect(await checkBuild(loaded("FORM golang"), REQUEST, client)).toBeUndefined();
  const refused = await checkContext(loaded("FORM golang"), REQUEST, client).catch(String);
  expect(refused).toContain("did you mean FROM?");
  expect(refused).toContain("^^^^");
});

test("a build argument says what the file's own line would", async () => {
  const buildArgs = { BUILDKIT_DOCKERFILE_CHECK: "error=true" };
  const request = { ...REQUEST, buildArgs };
  const context = loaded("FROM golang\nCMD x");
  expect(mayRefuse(context, REQUEST.buildArgs)).toBe(false);
  expect(mayRefuse(context, buildArgs)).toBe(true);
  expect((await checkBuild(context, request, client))?.violations).toEqual(["JSONArgsRecommended"]);
});
