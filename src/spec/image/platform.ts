/** Platforms "os/architecture/variant": image-spec 1.1 image-index.md and the aliases clients type. */
import { NaruError } from "#lib/errors.ts";
import { type JsonObject, asArray, asOptionalString, asString } from "#spec/image/decode.ts";

export interface Platform {
  readonly os: string;
  /** Go's GOARCH: amd64, arm64, arm, 386, riscv64 … */
  readonly architecture: string;
  /** arm: v5…v8; amd64: v2…v4. Absent = the base. */
  readonly variant?: string;
  readonly osVersion?: string;
  /** What of the os an image needs, such as "win32k". Absent = nothing, never empty. */
  readonly osFeatures?: readonly string[];
}

const ARCHITECTURES: Readonly<Record<string, readonly [string, string?]>> = {
  x86_64: ["amd64"],
  "x86-64": ["amd64"],
  x64: ["amd64"],
  i386: ["386"],
  i686: ["386"],
  ia32: ["386"],
  aarch64: ["arm64"],
  armhf: ["arm", "v7"],
  armel: ["arm", "v6"],
  ppc64el: ["ppc64le"],
};

const normalizeVariant = (
  architecture: string,
  variant: string | undefined,
): string | undefined => {
  const v = variant === undefined || variant === "" ? undefined : variant.replace(/^(?=\d)/, "v");
  if (architecture === "arm64") return v === "v8" ? undefined : v;
  if (architecture === "arm") return v ?? "v7";
  if (architecture === "amd64") return v === "v1" ? undefined : v;
  return v;
};

/** One spelling for each platform: linux/aarch64/v8 and linux/arm64 become the same value. */
export const normalizePlatform = (platform: Platform): Platform => {
  const os = platform.os === "" ? "linux" : platform.os.toLowerCase();
  const given = platform.architecture.toLowerCase();
  const [architecture, implied] = ARCHITECTURES[given] ?? [given];
  const variant = normalizeVariant(architecture, platform.variant?.toLowerCase() ?? implied);
  return {
    os,
    architecture,
    ...(variant === undefined ? {} : { variant }),
    ...(platform.osVersion === undefined ? {} : { osVersion: platform.osVersion }),
    ...(platform.osFeatures === undefined ? {} : { osFeatures: platform.osFeatures }),
  };
};

const KNOWN_ARCHITECTURES: readonly string[] =
  "386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x wasm".split(
    " ",
  );

const PART = /^[A-Za-z0-9_.-]+$/;
const OSES: readonly string[] = ["linux", "windows", "darwin", "freebsd"];

/** "linux/arm64/v8", "linux/arm64", or one word that is an os or an architecture. Throws invalid_argument. */
export const parsePlatform = (text: string): Platform => {
  const parts = text.split("/");
  if (parts.length > 3 || !parts.every((part) => PART.test(part))) {
    throw new NaruError(
      "invalid_argument",
      `"${text}" is an invalid platform: expected os/architecture[/variant], such as linux/arm64/v8`,
    );
  }
  const [first = "", second, third] = parts;
  if (second === undefined) {
    if (OSES.includes(first.toLowerCase())) {
      return normalizePlatform({ os: first, architecture: HOST_PLATFORM.architecture });
    }
    const platform = normalizePlatform({ os: "linux", architecture: first });
    if (KNOWN_ARCHITECTURES.includes(platform.architecture)) return platform;
    throw new NaruError(
      "invalid_argument",
      `"${first}": unknown operating system or architecture: expected os/architecture[/variant], such as linux/arm64/v8`,
    );
  }
  return normalizePlatform({
    os: first,
    architecture: second,
    ...(third === undefined ? {} : { variant: third }),
  });
};

/** The platform naru runs on, from the runtime's own constants. */
export const HOST_PLATFORM: Platform = normalizePlatform({
  os: "linux",
  architecture: process.arch,
});

export const formatPlatform = (platform: Platform): string =>
  [platform.os, platform.architecture, platform.variant].filter((part) => part).join("/");

/** Reads the `platform` object of an index entry, or the fields of an image config. */
export const decodePlatform = (value: JsonObject, what: string): Platform => {
  const variant = asOptionalString(value["variant"], `${what}.variant`);
  const osVersion = asOptionalString(value["os.version"], `${what}.os.version`);
  const osFeatures = asArray(value["os.features"] ?? [], `${what}.os.features`).map((one, at) =>
    asString(one, `${what}.os.features[${at}]`),
  );
  return normalizePlatform({
    os: asString(value["os"] ?? "linux", `${what}.os`),
    architecture: asString(value["architecture"] ?? "", `${what}.architecture`),
    ...(variant === undefined ? {} : { variant }),
    ...(osVersion === undefined ? {} : { osVersion }),
    ...(osFeatures.length === 0 ? {} : { osFeatures }),
  });
};

const levelOf = (variant: string | undefined): number => Number(variant?.slice(1) ?? 0);

/**
 * How well `have` serves a host or wish `want`: 0 = not at all, larger is better. A lower variant of
 * the same architecture runs, and 32 bit arm runs on arm64, 386 on amd64.
 */
export const platformScore = (have: Platform, want: Platform): number => {
  if (have.os !== want.os) return 0;
  if (have.architecture === want.architecture) {
    const excess = levelOf(have.variant) - levelOf(want.variant);
    return excess > 0 ? 0 : 100 + excess;
  }
  if (want.architecture === "arm64" && have.architecture === "arm")
    return 10 + levelOf(have.variant);
  if (want.architecture === "amd64" && have.architecture === "386") return 10;
  return 0;
};
