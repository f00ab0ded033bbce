/**
 * Base images without a registry: a minimal Debian or Ubuntu from its package mirror, by mmdebstrap or
 * debootstrap, imported as an image of one layer.
 *
 * The tool runs as root in its own mount and PID namespace: killing the first process ends all of it
 * and takes its mounts along, so nothing is left on the host but the ingest directory, which goes too.
 */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { ImageDependencies } from "#image/dependencies.ts";
import type { BootstrapOptions } from "#image/image.ts";
import { importImage } from "#image/import.ts";
import {
  type AptSource,
  type Release,
  parseAptSources,
  parseRelease,
  sourceLines,
} from "#image/mirror.ts";
import { NaruError } from "#lib/errors.ts";
import type { Digest } from "#spec/image/digest.ts";
import { HOST_PLATFORM } from "#spec/image/platform.ts";

const NAMESPACES = [
  "unshare",
  "--mount",
  "--pid",
  "--fork",
  "--kill-child=SIGKILL",
  "--mount-proc",
];

const SLIM_OPTIONS: readonly string[] = [
  "/usr/share/man/*",
  "/usr/share/info/*",
  "/usr/share/locale/*",
  "/usr/share/doc/*",
].flatMap((path) => [`--dpkgopt=path-exclude=${path}`]);

const hostSources = (directory = "/etc/apt"): AptSource[] => {
  const list = (path: string): string[] => {
    try {
      return readdirSync(path).map((name) => join(path, name));
    } catch {
      return []; // No apt on this host: the distribution's own mirror is used.
    }
  };
  return list(directory)
    .filter((path) => path.endsWith("/sources.list"))
    .concat(list(join(directory, "sources.list.d")))
    .filter((path) => /\.(list|sources)$/.test(path))
    .flatMap((path) => parseAptSources(path, readFileSync(path, "utf8")));
};

const DEBIAN_ARCHITECTURES: Readonly<Record<string, string>> = {
  "386": "i386",
  arm: "armhf",
  ppc64le: "ppc64el",
};

interface Plan {
  /** Writes the system's tar to stdout. */
  readonly command: readonly string[];
}

/** Where both distributions install their keys; absent for a foreign distribution without its package. */
const keyringOf = (release: Release): string | undefined => {
  const path = `/usr/share/keyrings/${release.distribution}-archive-keyring.gpg`;
  return existsSync(path) ? path : undefined;
};

const planMmdebstrap = (release: Release, lines: readonly string[]): Plan => {
  const keyring = keyringOf(release);
  const command = [
    ...NAMESPACES,
    "mmdebstrap",
    "--mode=root",
    "--variant=minbase",
    "--format=tar",
    `--architectures=${DEBIAN_ARCHITECTURES[HOST_PLATFORM.architecture] ?? HOST_PLATFORM.architecture}`,
    ...(keyring === undefined ? [] : [`--keyring=${keyring}`]),
    ...(release.isSlim ? SLIM_OPTIONS : []),
    // The tool copies the host's, and every container gets its own.
    '--customize-hook=rm -f "$1/etc/resolv.conf" "$1/etc/hostname"',
    release.codename,
    "-",
    ...lines,
  ];
  return { command };
};

/** debootstrap fills a directory; its leftovers are removed and the rest becomes the tar. */
const DEBOOTSTRAP_SCRIPT = `
set -e
debootstrap --variant=minbase "$5" "$1" "$2/root" "$3" >&2
printf '%s\\n' "$4" > "$2/root/etc/apt/sources.list"
rm -rf "$2"/root/var/cache/apt/archives/*.deb "$2"/root/var/lib/apt/lists/* "$2"/root/var/log/*.log
rm -f "$2"/root/etc/resolv.conf "$2"/root/etc/hostname
exec tar --numeric-owner --xattrs --one-file-system -C "$2/root" -c .
`;

const planDebootstrap = (release: Release, lines: readonly string[], directory: string): Plan => {
  const mirror = lines[0]?.split(" ")[1] ?? "";
  const keyring = keyringOf(release);
  const check = keyring === undefined ? "--force-check-gpg" : `--keyring=${keyring}`;
  const values = [release.codename, directory, mirror, lines.join("\n"), check];
  return { command: [...NAMESPACES, "sh", "-c", DEBOOTSTRAP_SCRIPT, "sh", ...values] };
};

const planFor = (release: Release, lines: readonly string[], directory: string): Plan => {
  if (Bun.which("mmdebstrap") !== null) return planMmdebstrap(release, lines);
  if (Bun.which("debootstrap") !== null) return planDebootstrap(release, lines, directory);
  throw new NaruError(
    "failed_precondition",
    `"${release.reference}" cannot be bootstrapped: neither mmdebstrap nor debootstrap is here; install one with "apt-get install mmdebstrap"`,
  );
};

const KEPT_LINES = 12;

/** Tells each line on, and keeps the last ones for the error message. */
const followLines = async (
  stream: ReadableStream<Uint8Array>,
  onLine: BootstrapOptions["onLine"],
): Promise<string> => {
  const last: string[] = [];
  const decoder = new TextDecoder();
  let rest = "";
  const take = (line: string): void => {
    if (line.trim() === "") return;
    onLine?.(line);
    last.push(line);
    if (last.length > KEPT_LINES) last.shift();
  };
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split(/[\r\n]/);
    rest = parts.pop() ?? "";
    parts.forEach(take);
  }
  take(rest);
  return last.join("\n");
};

const explain = (release: Release, lines: string): string =>
  /NO_PUBKEY|not signed|keyring/i.test(lines)
    ? `the host does not know the keys of ${release.distribution}: install the package with its archive keyring ("${release.distribution}-keyring" or "${release.distribution}-archive-keyring")\n${lines}`
    : lines;

/** See `Images.bootstrap`. */
export const bootstrapImage = async (
  dependencies: ImageDependencies,
  target: string,
  options: BootstrapOptions,
): Promise<Digest> => {
  const { signal } = options;
  const release = parseRelease(target);
  const lines = sourceLines(release, hostSources(), HOST_PLATFORM.architecture, options.mirror);
  await using work = dependencies.content.openIngest();
  const { command } = planFor(release, lines, work.directory);
  signal.throwIfAborted();
  for (const line of lines) options.onLine?.(line);
  const environment = [`TMPDIR=${work.directory}`, "LC_ALL=C.UTF-8", "SOURCE_DATE_EPOCH=0"];
  const child = Bun.spawn(["env", ...environment, ...command], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const kill = (): void => child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  const complaint = followLines(child.stderr, options.onLine);
  try {
    // The import sees the end of the tar only when the tool succeeded: half a system is no image.
    const whole = async function* (): AsyncGenerator<Uint8Array, void> {
      yield* child.stdout;
      const exit = await child.exited;
      signal.throwIfAborted();
      if (exit === 0) return;
      throw new NaruError(
        "unavailable",
        `"${target}" could not be bootstrapped (exit status ${exit}): ${explain(release, await complaint)}`,
      );
    };
    return await importImage(dependencies, whole(), {
      signal,
      reference: release.reference,
      message: `bootstrapped from ${lines[0] ?? ""}`,
      config: {
        Cmd: ["bash"],
        Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      },
    });
  } finally {
    signal.removeEventListener("abort", kill);
    kill();
    await child.exited;
  }
};
