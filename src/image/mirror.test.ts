import { expect, test } from "bun:test";
import { parseAptSources, parseRelease, sourceLines } from "#image/mirror.ts";

test("releases by name and number", () => {
  expect(parseRelease("debian:bookworm")).toMatchObject({ codename: "bookworm", isSlim: false });
  expect(parseRelease("debian:13-slim")).toMatchObject({
    codename: "trixie",
    isSlim: true,
    reference: "debian:13-slim",
  });
  expect(parseRelease("ubuntu:24.04").codename).toBe("noble");
  for (const text of ["fedora:40", "debian", "debian:99", "debian:../x", "debian:a b"]) {
    expect(() => parseRelease(text)).toThrow("cannot be bootstrapped");
  }
});

const LIST = `# comment
deb http://mirror.example/debian bookworm main
deb [signed-by=/k.gpg] https://mirror.example/debian-security/ bookworm-security main
deb-src http://src.example/debian bookworm main
`;
const PARAGRAPHS = `Types: deb
# http://snapshot.example/archive
URIs: http://one.example/debian http://two.example/debian
Suites: bookworm bookworm-updates
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian-security
Suites: bookworm-security
`;

test("both forms of apt's sources", () => {
  expect(parseAptSources("sources.list", LIST)).toEqual([
    { uri: "http://mirror.example/debian", suites: ["bookworm"] },
    { uri: "https://mirror.example/debian-security/", suites: ["bookworm-security"] },
  ]);
  expect(parseAptSources("debian.sources", PARAGRAPHS).map((source) => source.uri)).toEqual([
    "http://one.example/debian",
    "http://two.example/debian",
  ]);
});

test("the host's mirror is used, else the distribution's", () => {
  const sources = parseAptSources("sources.list", LIST);
  expect(sourceLines(parseRelease("debian:trixie"), sources, "amd64")).toEqual([
    "deb http://mirror.example/debian trixie main",
    "deb http://mirror.example/debian trixie-updates main",
    "deb https://mirror.example/debian-security/ trixie-security main",
  ]);
  expect(sourceLines(parseRelease("ubuntu:noble"), sources, "arm64")[0]).toBe(
    "deb http://ports.ubuntu.com/ubuntu-ports noble main universe",
  );
  expect(sourceLines(parseRelease("debian:sid"), [], "amd64")).toEqual([
    "deb http://deb.debian.org/debian sid main",
  ]);
  expect(sourceLines(parseRelease("debian:bookworm"), sources, "amd64", "http://m/debian")).toEqual(
    ["deb http://m/debian bookworm main"],
  );
});
