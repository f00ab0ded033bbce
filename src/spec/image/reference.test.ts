import { expect, test } from "bun:test";
import {
  familiarName,
  familiarString,
  formatReference,
  parseAnyReference,
  parseReference,
  withDefaultTag,
} from "#spec/image/reference.ts";

const HEX = "0123456789abcdef".repeat(4);

const NAMES: [text: string, whole: string, familiar: string][] = [
  ["alpine", "docker.io/library/alpine", "alpine"],
  ["alpine:3.20", "docker.io/library/alpine:3.20", "alpine:3.20"],
  ["naru/hello", "docker.io/naru/hello", "naru/hello"],
  ["docker.io/alpine", "docker.io/library/alpine", "alpine"],
  ["index.docker.io/library/alpine", "docker.io/library/alpine", "alpine"],
  ["library/alpine", "docker.io/library/alpine", "alpine"],
  ["localhost/a", "localhost/a", "localhost/a"],
  ["localhost:5000/a/b:v1", "localhost:5000/a/b:v1", "localhost:5000/a/b:v1"],
  ["[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a"],
  ["ghcr.io/o/r@sha256:" + HEX, `ghcr.io/o/r@sha256:${HEX}`, `ghcr.io/o/r@sha256:${HEX}`],
  ["a:t@sha256:" + HEX, `docker.io/library/a:t@sha256:${HEX}`, `a:t@sha256:${HEX}`],
  ["a__b/c-d.e_f", "docker.io/a__b/c-d.e_f", "a__b/c-d.e_f"],
  ["Registry/app", "Registry/app", "Registry/app"],
];
for (const [text, whole, familiar] of NAMES) {
  test(`"${text}" is ${whole}`, () => {
    const reference = parseReference(text);
    expect(formatReference(reference)).toBe(whole);
    expect(familiarString(reference)).toBe(familiar);
    expect(parseReference(familiarString(reference))).toEqual(reference);
  });
}

const REFUSED: [text: string, message: string][] = [
  ["Foo", "invalid reference format: repository name (library/Foo) must be lowercase"],
  ["a/Foo:x", "invalid reference format: repository name (a/Foo) must be lowercase"],
  ["", "invalid reference format"],
  ["a:", "invalid reference format"],
  ["a b", "invalid reference format"],
  ["-a", "invalid reference format"],
  ["a@sha256:12", "invalid reference format"],
  [`a:${"t".repeat(129)}`, "invalid reference format"],
  ["x/" + "y".repeat(256), "repository name must not be more than 255 characters"],
  [HEX, `invalid repository name (${HEX}), cannot specify 64-byte hexadecimal strings`],
];
for (const [text, message] of REFUSED) {
  test(`"${text.slice(0, 20)}" is refused`, () => {
    expect(() => parseReference(text)).toThrow(message);
  });
}

test("a whole id is an id, with and without its algorithm", () => {
  expect(parseAnyReference(HEX)).toEqual({ kind: "id", id: `sha256:${HEX}` as never });
  expect(parseAnyReference(`sha256:${HEX}`).kind).toBe("id");
  expect(parseAnyReference("0123456789ab").kind).toBe("name");
});

test("only a bare name gets the default tag", () => {
  expect(withDefaultTag(parseReference("a")).tag).toBe("latest");
  expect(withDefaultTag(parseReference(`a@sha256:${HEX}`)).tag).toBeUndefined();
  expect(familiarName(parseReference("docker.io/library/x/y"))).toBe("library/x/y");
});
