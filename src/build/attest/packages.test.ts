import { expect, test } from "bun:test";
import { readerOf } from "#build/attest/packages.ts";
import { spdxDocument } from "#build/attest/spdx.ts";

const read = (path: string, text: string) =>
  (readerOf(path)?.(text, `/${path}`) ?? []).map(
    ({ kind, name, version, license }) => `${kind} ${name} ${version} ${license}`,
  );

test("databases of package managers", () => {
  const status = `Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u4
Description: GNU C Library
 Package: not this one
 more

Package: gone
Status: deinstall ok config-files
Version: 1
`;
  expect(read("var/lib/dpkg/status", status)).toEqual(["deb libc6 2.36-9+deb12u4 "]);
  expect(read("var/lib/dpkg/status.d/base", "Package: base-files\nVersion: 12\n")).toEqual([
    "deb base-files 12 ",
  ]);
  expect(readerOf("var/lib/dpkg/status.d/base.md5sums")).toBeUndefined();
  const apk = "C:Q1x\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\n\nP:broken\n";
  expect(read("lib/apk/db/installed", apk)).toEqual(["apk musl 1.2.5-r0 MIT"]);
  const npm = '{"name":"@a/b","version":"1.0.0","license":"ISC"}';
  expect(read("app/node_modules/@a/b/package.json", npm)).toEqual(["npm @a/b 1.0.0 ISC"]);
  expect(read("node_modules/x/package.json", "{broken")).toEqual([]);
  expect(readerOf("app/package.json")).toBeUndefined();
  const metadata =
    "Metadata-Version: 2.1\nName: Flask\nVersion: 3.0\nLicense: BSD-3-Clause\n\nName: text\n";
  expect(read("usr/lib/python3/dist-packages/flask-3.0.dist-info/METADATA", metadata)).toEqual([
    "pypi Flask 3.0 BSD-3-Clause",
  ]);
});

test("an SPDX document has a package URL for each, and says what holds them", () => {
  const packages = readerOf("var/lib/dpkg/status")?.(
    "Package: g++\nVersion: 4:12\nArchitecture: amd64\n",
    "/var/lib/dpkg/status",
  );
  const document = spdxDocument(packages ?? [], {
    name: "sha256:ab",
    createdAt: "2026-01-02T03:04:05.678Z",
    tool: "naru-1",
    distribution: "ubuntu",
  });
  expect(document).toMatchObject({
    spdxVersion: "SPDX-2.3",
    creationInfo: { created: "2026-01-02T03:04:05Z", creators: ["Tool: naru-1"] },
    packages: [
      {
        name: "g++",
        versionInfo: "4:12",
        externalRefs: [{ referenceLocator: "pkg:deb/ubuntu/g%2B%2B@4:12?arch=amd64" }],
      },
      { SPDXID: "SPDXRef-DocumentRoot" },
    ],
  });
  const text = JSON.stringify(document);
  expect(text.match(/SPDXRef-Package-deb-g--[0-9a-f]{16}/g)).toHaveLength(2);
});
