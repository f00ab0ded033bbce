/** Which distribution a base image is made of, and from which mirror: pure, from the host's apt sources. */
import { NaruError } from "#lib/errors.ts";

export interface Release {
  readonly distribution: "debian" | "ubuntu";
  readonly codename: string;
  /** Without manuals, documentation and translations. */
  readonly isSlim: boolean;
  /** "debian:bookworm-slim". */
  readonly reference: string;
}

/** One source of packages, as apt has it. */
export interface AptSource {
  readonly uri: string;
  readonly suites: readonly string[];
}

const CODENAMES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  debian: {
    "11": "bullseye",
    "12": "bookworm",
    "13": "trixie",
    latest: "trixie",
    stable: "trixie",
    unstable: "sid",
  },
  ubuntu: { "20.04": "focal", "22.04": "jammy", "24.04": "noble", latest: "noble" },
};

/** "debian:bookworm", "debian:13-slim", "ubuntu:24.04". Throws invalid_argument. */
export const parseRelease = (text: string): Release => {
  const match = /^(debian|ubuntu):([a-z0-9.]+?)(-slim)?$/.exec(text);
  const [, distribution = "", name = "", slim] = match ?? [];
  if (match === null) {
    throw new NaruError(
      "invalid_argument",
      `"${text}" cannot be bootstrapped: expected debian:<codename> or ubuntu:<codename>, such as debian:bookworm`,
    );
  }
  const codename = CODENAMES[distribution]?.[name] ?? name;
  if (!/^[a-z]+$/.test(codename)) {
    throw new NaruError(
      "invalid_argument",
      `"${text}" cannot be bootstrapped: release "${name}" of ${distribution} is not known, use its codename`,
    );
  }
  return {
    distribution: distribution as Release["distribution"],
    codename,
    isSlim: slim !== undefined,
    reference: text,
  };
};

/** The one-line form: `deb [options] URI suite components`. */
const parseList = (text: string): AptSource[] =>
  text.split("\n").flatMap((line) => {
    const match = /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)/.exec(line);
    return match === null ? [] : [{ uri: match[1] ?? "", suites: [match[2] ?? ""] }];
  });

/** The deb822 form: paragraphs of fields. */
const parseParagraphs = (text: string): AptSource[] =>
  text.split(/\n\s*\n/).flatMap((paragraph) => {
    const fields = new Map<string, string>();
    let last = "";
    for (const line of paragraph.split("\n")) {
      if (line.startsWith("#")) continue;
      const match = /^([A-Za-z-]+):\s*(.*)$/.exec(line);
      if (match !== null) last = (match[1] ?? "").toLowerCase();
      const value = match === null ? line.trim() : (match[2] ?? "");
      fields.set(last, `${fields.get(last) ?? ""} ${value}`.trim());
    }
    const isOn = fields.get("enabled")?.toLowerCase() !== "no";
    const isBinary = (fields.get("types") ?? "").split(/\s+/).includes("deb");
    const suites = (fields.get("suites") ?? "").split(/\s+/).filter((suite) => suite !== "");
    if (!isOn || !isBinary) return [];
    const uris = (fields.get("uris") ?? "").split(/\s+/).filter((uri) => uri !== "");
    return uris.map((uri) => ({ uri, suites }));
  });

/** `name` decides the form: *.sources is deb822 (sources.list(5)). */
export const parseAptSources = (name: string, text: string): AptSource[] =>
  name.endsWith(".sources") ? parseParagraphs(text) : parseList(text);

const DEFAULTS = {
  debian: {
    main: "http://deb.debian.org/debian",
    security: "http://deb.debian.org/debian-security",
  },
  ubuntu: {
    main: "http://archive.ubuntu.com/ubuntu",
    security: "http://security.ubuntu.com/ubuntu",
  },
  ubuntuPorts: {
    main: "http://ports.ubuntu.com/ubuntu-ports",
    security: "http://ports.ubuntu.com/ubuntu-ports",
  },
} as const;

const isUsable = (source: AptSource): boolean => /^https?:\/\//.test(source.uri);

/** By the path's end, as mirrors lay it out: …/debian, …/debian-security, …/ubuntu. */
const findUri = (sources: readonly AptSource[], directory: string): string | undefined =>
  sources.find((source) => isUsable(source) && new RegExp(`/${directory}/?$`).test(source.uri))
    ?.uri;

/** The `deb` lines of the new system. A `mirror` named by the user serves everything it usually has. */
export const sourceLines = (
  release: Release,
  sources: readonly AptSource[],
  architecture: string,
  mirror?: string,
): string[] => {
  const { distribution, codename } = release;
  const isPorts = distribution === "ubuntu" && !["amd64", "386"].includes(architecture);
  const defaults = DEFAULTS[isPorts ? "ubuntuPorts" : distribution];
  const directory = isPorts ? "ubuntu-ports" : distribution;
  const main = mirror ?? findUri(sources, directory) ?? defaults.main;
  const components = distribution === "debian" ? "main" : "main universe";
  const lines = [`deb ${main} ${codename} ${components}`];
  if (codename === "sid" || mirror !== undefined) return lines;
  lines.push(`deb ${main} ${codename}-updates ${components}`);
  const security =
    distribution === "debian" ? findUri(sources, "debian-security") : findUri(sources, directory);
  lines.push(`deb ${security ?? defaults.security} ${codename}-security ${components}`);
  return lines;
};
