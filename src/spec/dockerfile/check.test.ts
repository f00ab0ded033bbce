import { expect, test } from "bun:test";

import { RULES, type RuleName, ruleUrl } from "#spec/dockerfile/check-rules.ts";
import { type CheckOptions, checkDockerfile } from "#spec/dockerfile/check.ts";
import { parseDockerfile } from "#spec/dockerfile/parse.ts";
import { parsePlatform } from "#spec/image/platform.ts";

const AMD64 = parsePlatform("linux/amd64");
const OPTIONS: CheckOptions = {
  buildArgs: new Map(),
  targetPlatform: AMD64,
  buildPlatform: AMD64,
};

const check = (text: string, options: Partial<CheckOptions> = {}) =>
  checkDockerfile(parseDockerfile(text), { ...OPTIONS, ...options });

test("all rules of the documentation, each with its page", () => {
  const names = Object.keys(RULES) as RuleName[];
  expect(names.length).toBe(22);
  expect(ruleUrl("JSONArgsRecommended")).toBe(
    "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/",
  );
  expect(ruleUrl("SecretsUsedInArgOrEnv")).toEndWith("/secrets-used-in-arg-or-env/");
  expect(names.filter((name) => ruleUrl(name) === "")).toEqual(["InvalidBaseImagePlatform"]);
});

test("a base image of another platform", () => {
  const images = new Map([[0, { config: {}, platform: parsePlatform("linux/arm64") }]]);
  expect(check("FROM debian", { images }).warnings.map((w) => w.message)).toEqual([
    'Base image debian was pulled with platform "linux/arm64", expected "linux/amd64" for current build',
  ]);
});

test("what the base image sets is defined", () => {
  const images = new Map([[0, { config: { Env: ["GOPATH=/go"] } }]]);
  const text = "FROM golang\nCOPY a $GOPATH/src";
  const other = new Map([[0, { config: {} }]]);
  expect(check(text, { images }).warnings).toEqual([]);
  expect(check(text, { images: other }).warnings.map((w) => w.rule)).toEqual(["UndefinedVar"]);
  expect(check(text).warnings).toEqual([]);
});

test("a config of the build goes before the file's own", () => {
  const text = "# check=skip=all\nFROM debian\nCMD x";
  const config = { skip: [], experimental: [], isError: true };
  expect(check(text).violations).toEqual([]);
  expect(check(text, { config }).violations).toEqual(["JSONArgsRecommended"]);
});

test("what stands before an error is still told of", () => {
  const result = check("FROM debian AS a\nCMD x\nFROM a\nCOPY --from=9 b c");
  expect(result.warnings.map((warning) => warning.rule)).toEqual([]);
  expect(result.error?.reason).toBe("invalid stage index 9");
  const later = check("FROM debian as A\nUSER ${U:?who}");
  expect(later.warnings.map((warning) => warning.rule)).toEqual([
    "StageNameCasing",
    "FromAsCasing",
  ]);
  expect(later.error?.range.start.line).toBe(2);
});

test("only the stages of the target are gone through", () => {
  const text = "FROM debian AS a\nCMD x\nFROM debian AS b\nCMD y";
  const linesOf = (target?: string) =>
    check(text, { target }).warnings.map((warning) => warning.range.start.line);
  expect(linesOf("a")).toEqual([2]);
  expect(linesOf()).toEqual([2, 4]);
});
