/** ARGs: where their values come from and where they are seen (Dockerfile reference, "Scope"). */
import type { Platform } from "#spec/image/platform.ts";

/** Passed to RUN without an ARG, and no part of any key: values of the builder's surroundings. */
const PREDEFINED: ReadonlySet<string> = new Set(
  ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"].flatMap((name) => [
    name,
    name.toLowerCase(),
  ]),
);

const formatPlatform = ({ os, architecture, variant }: Platform): string =>
  [os, architecture, ...(variant === undefined ? [] : [variant])].join("/");

const platformArguments = (prefix: string, platform: Platform): [string, string][] => [
  [`${prefix}PLATFORM`, formatPlatform(platform)],
  [`${prefix}OS`, platform.os],
  [`${prefix}ARCH`, platform.architecture],
  [`${prefix}VARIANT`, platform.variant ?? ""],
];

/** What the builder itself knows, seen in FROM lines and by stages that name it. */
export const automaticArguments = (
  build: Platform,
  target: Platform,
  stage: string,
): ReadonlyMap<string, string> =>
  new Map([
    ...platformArguments("BUILD", build),
    ...platformArguments("TARGET", target),
    ["TARGETSTAGE", stage],
  ]);

export class BuildArguments {
  readonly #given: ReadonlyMap<string, string | undefined>;
  readonly #automatic: ReadonlyMap<string, string>;
  readonly #meta = new Map<string, string>();
  readonly #named = new Set<string>();

  constructor(
    given: ReadonlyMap<string, string | undefined>,
    automatic: ReadonlyMap<string, string>,
  ) {
    this.#given = given;
    this.#automatic = automatic;
  }

  /** An ARG before the first FROM. */
  declareMeta(name: string, fallback: string | undefined): void {
    this.#named.add(name);
    const value = this.#given.get(name) ?? fallback ?? this.#automatic.get(name);
    if (value !== undefined) this.#meta.set(name, value);
  }

  /** For FROM lines and for other global ARGs. */
  lookupMeta(name: string): string | undefined {
    return this.#meta.get(name) ?? this.#automatic.get(name);
  }

  /** An ARG in a stage: what the user gave, its default, what was said before the first FROM. */
  declare(name: string, fallback: string | undefined): string | undefined {
    this.#named.add(name);
    return this.#given.get(name) ?? fallback ?? this.lookupMeta(name);
  }

  /** Given ones that reach RUN without an ARG. */
  predefined(): [string, string][] {
    return [...this.#given].flatMap(([name, value]): [string, string][] =>
      PREDEFINED.has(name) && value !== undefined ? [[name, value]] : [],
    );
  }

  /** Given, but named by no ARG. */
  unused(): string[] {
    return [...this.#given.keys()].filter(
      (name) =>
        !this.#named.has(name) &&
        !PREDEFINED.has(name) &&
        !name.startsWith("BUILDKIT_") &&
        name !== "SOURCE_DATE_EPOCH",
    );
  }
}
