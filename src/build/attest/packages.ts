/** Software that package managers say is installed, out of their databases (pure). */

export interface SoftwarePackage {
  readonly kind: "deb" | "apk" | "npm" | "pypi";
  readonly name: string;
  readonly version: string;
  /** "" where the database does not say. */
  readonly architecture: string;
  /** As the database writes it; "" for none. */
  readonly license: string;
  /** The source package, where it has another name or version. */
  readonly source: string;
  /** Path of the file that says so. */
  readonly foundIn: string;
}

type Fields = ReadonlyMap<string, string>;

/** Blocks of "Name: value" lines; lines that begin with a blank go on with the value above. */
const blocksOf = (text: string): Fields[] =>
  text.split(/\n\s*\n/).flatMap((block) => {
    const fields = new Map<string, string>();
    let last = "";
    for (const line of block.split("\n")) {
      const match = /^([A-Za-z0-9-]+):\s?(.*)$/.exec(line);
      if (match !== null) {
        last = (match[1] ?? "").toLowerCase();
        if (!fields.has(last)) fields.set(last, match[2] ?? "");
      } else if (/^\s/.test(line) && last !== "") {
        fields.set(last, `${fields.get(last) ?? ""}\n${line.trim()}`);
      }
    }
    return fields.size === 0 ? [] : [fields];
  });

/** /var/lib/dpkg/status, and the files of status.d (deb-control(5)). */
export const parseDpkg = (text: string, foundIn: string): SoftwarePackage[] =>
  blocksOf(text).flatMap((fields) => {
    const name = fields.get("package") ?? "";
    const version = fields.get("version") ?? "";
    const status = fields.get("status") ?? "install ok installed";
    if (name === "" || version === "" || !status.endsWith(" installed")) return [];
    return [
      {
        kind: "deb",
        name,
        version,
        architecture: fields.get("architecture") ?? "",
        license: "",
        source: fields.get("source") ?? "",
        foundIn,
      },
    ];
  });

/** /lib/apk/db/installed (apk-package(5)): lines of a letter, a colon and a value. */
export const parseApk = (text: string, foundIn: string): SoftwarePackage[] =>
  text.split(/\n\n+/).flatMap((block) => {
    const fields = new Map<string, string>();
    for (const line of block.split("\n")) {
      if (line[1] === ":" && !fields.has(line[0] ?? "")) fields.set(line[0] ?? "", line.slice(2));
    }
    const name = fields.get("P") ?? "";
    const version = fields.get("V") ?? "";
    if (name === "" || version === "") return [];
    return [
      {
        kind: "apk",
        name,
        version,
        architecture: fields.get("A") ?? "",
        license: fields.get("L") ?? "",
        source: fields.get("o") ?? "",
        foundIn,
      },
    ];
  });

/** A package.json below node_modules; what is no package of its own is left out. */
export const parseNpm = (text: string, foundIn: string): SoftwarePackage[] => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Tests of packages hold broken ones on purpose.
    return [];
  }
  if (typeof value !== "object" || value === null) return [];
  const { name, version, license } = value as Readonly<Record<string, unknown>>;
  if (typeof name !== "string" || typeof version !== "string") return [];
  if (name === "" || version === "") return [];
  return [
    {
      kind: "npm",
      name,
      version,
      architecture: "",
      license: typeof license === "string" ? license : "",
      source: "",
      foundIn,
    },
  ];
};

/** METADATA of a .dist-info or PKG-INFO of an .egg-info (Python packaging, core metadata). */
export const parsePython = (text: string, foundIn: string): SoftwarePackage[] => {
  const [fields] = blocksOf(text);
  const name = fields?.get("name") ?? "";
  const version = fields?.get("version") ?? "";
  if (fields === undefined || name === "" || version === "") return [];
  const license = fields.get("license-expression") ?? fields.get("license") ?? "";
  return [
    {
      kind: "pypi",
      name,
      version,
      architecture: "",
      license: license.includes("\n") ? "" : license,
      source: "",
      foundIn,
    },
  ];
};

type Reader = (text: string, foundIn: string) => SoftwarePackage[];

/** What reads the file at `path` ("usr/lib/x", no slash in front); undefined for all others. */
export const readerOf = (path: string): Reader | undefined => {
  if (path === "var/lib/dpkg/status" || /^var\/lib\/dpkg\/status\.d\/[^/]+$/.test(path)) {
    return path.endsWith(".md5sums") ? undefined : parseDpkg;
  }
  if (path === "lib/apk/db/installed" || path === "usr/lib/apk/db/installed") return parseApk;
  if (/(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/@]+\/package\.json$/.test(path)) return parseNpm;
  return /\.(?:dist-info\/METADATA|egg-info\/PKG-INFO)$/.test(path) ? parsePython : undefined;
};
