/** Packages as an SPDX document: specification 2.3, JSON (pure). */
import type { SoftwarePackage } from "#build/attest/packages.ts";
import { digestOf, hexOf } from "#spec/image/digest.ts";

export const SPDX_TYPE = "https://spdx.dev/Document";

export interface SpdxFacts {
  /** Of what was looked into. */
  readonly name: string;
  /** RFC 3339, whole seconds are kept. */
  readonly createdAt: string;
  readonly tool: string;
  /** "debian", "ubuntu", "alpine" of /etc/os-release; "" when nothing says it. */
  readonly distribution: string;
}

const encodePart = (text: string): string => encodeURIComponent(text).replaceAll("%3A", ":");

/** Package URLs (package-url specification), as scanners write them. */
const packageUrl = (
  { kind, name, version, architecture }: SoftwarePackage,
  distribution: string,
): string => {
  const arch = architecture === "" ? "" : `?arch=${encodePart(architecture)}`;
  switch (kind) {
    case "deb":
    case "apk": {
      const fallback = kind === "deb" ? "debian" : "alpine";
      const vendor = distribution === "" ? fallback : distribution;
      return `pkg:${kind}/${vendor}/${encodePart(name)}@${encodePart(version)}${arch}`;
    }
    case "npm":
      return `pkg:npm/${name.split("/").map(encodeURIComponent).join("/")}@${encodePart(version)}`;
    case "pypi":
      return `pkg:pypi/${encodePart(name.toLowerCase().replaceAll(/[-_.]+/g, "-"))}@${encodePart(version)}`;
  }
};

/** Letters, digits, "." and "-" alone may stand in an id. */
const spdxId = (item: SoftwarePackage): string => {
  const plain = `${item.kind}-${item.name}`.replaceAll(/[^A-Za-z0-9.-]+/g, "-");
  return `SPDXRef-Package-${plain}-${hexOf(digestOf(JSON.stringify(item))).slice(0, 16)}`;
};

/** A plain SPDX identifier or expression; anything else is not put into words of our own. */
const licenseOf = ({ license }: SoftwarePackage): string =>
  /^[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*$/.test(license) ? license : "NOASSERTION";

export const spdxDocument = (packages: readonly SoftwarePackage[], facts: SpdxFacts): object => {
  const sum = hexOf(digestOf(JSON.stringify([facts.name, packages]))).slice(0, 32);
  const root = "SPDXRef-DocumentRoot";
  const items = packages.map((item) => ({ item, id: spdxId(item) }));
  return {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name: facts.name,
    documentNamespace: `https://naru.invalid/sbom/${encodeURIComponent(facts.name)}-${sum}`,
    creationInfo: {
      created: facts.createdAt.replace(/\.\d+/, ""),
      creators: [`Tool: ${facts.tool}`],
    },
    packages: [
      ...items.map(({ item, id }) => ({
        name: item.name,
        SPDXID: id,
        versionInfo: item.version,
        supplier: "NOASSERTION",
        downloadLocation: "NOASSERTION",
        filesAnalyzed: false,
        sourceInfo: `acquired package info from ${item.foundIn}`,
        licenseConcluded: "NOASSERTION",
        licenseDeclared: licenseOf(item),
        copyrightText: "NOASSERTION",
        externalRefs: [
          {
            referenceCategory: "PACKAGE-MANAGER",
            referenceType: "purl",
            referenceLocator: packageUrl(item, facts.distribution),
          },
        ],
      })),
      {
        name: facts.name,
        SPDXID: root,
        supplier: "NOASSERTION",
        downloadLocation: "NOASSERTION",
        filesAnalyzed: false,
        licenseConcluded: "NOASSERTION",
        licenseDeclared: "NOASSERTION",
        copyrightText: "NOASSERTION",
        primaryPackagePurpose: "CONTAINER",
      },
    ],
    relationships: [
      ...items.map(({ id }) => ({
        spdxElementId: root,
        relatedSpdxElement: id,
        relationshipType: "CONTAINS",
      })),
      {
        spdxElementId: "SPDXRef-DOCUMENT",
        relatedSpdxElement: root,
        relationshipType: "DESCRIBES",
      },
    ],
  };
};
