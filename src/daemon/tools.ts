/** Programs of the host that naru runs, where they are, and what is missing without them. */
import { NaruError } from "#lib/errors.ts";
import type { RuntimeEntry } from "#daemon/config.ts";

const SEARCH_PATH =
  "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/libexec/podman:/usr/lib/podman";

export const findTool = (name: string): string | undefined =>
  Bun.which(name, { PATH: SEARCH_PATH }) ?? undefined;

const requireTool = (name: string, packageName: string): string => {
  const path = findTool(name);
  if (path !== undefined) return path;
  throw new NaruError(
    "failed_precondition",
    `"${name}" is not installed: apt-get install ${packageName} (or run ./setup; 'naru doctor' lists everything that is missing)`,
  );
};

export interface Tools {
  readonly conmon: string;
  readonly runtimes: ReadonlyMap<string, string>;
  readonly defaultRuntime: string;
  /** tini, or catatonit, which exits with 1 where the program cannot be run (and not 126 or 127). */
  readonly init: string | undefined;
}

/** Runtimes looked for besides those of the config file; the first one found is the default. */
const KNOWN_RUNTIMES = ["crun", "runc"] as const;

/** The first that is there. Debian's "tini" comes last: it needs a C library in the image. */
const INITS = ["tini-static", "docker-init", "catatonit", "tini"];

export const findTools = (
  configured: Readonly<Record<string, RuntimeEntry>>,
  wantedDefault: string | undefined,
): Tools => {
  const runtimes = new Map<string, string>();
  for (const name of KNOWN_RUNTIMES) {
    const path = findTool(name);
    if (path !== undefined) runtimes.set(name, path);
  }
  for (const [name, entry] of Object.entries(configured)) runtimes.set(name, entry.path);
  const defaultRuntime = wantedDefault ?? [...runtimes.keys()][0];
  if (defaultRuntime === undefined) {
    throw new NaruError(
      "failed_precondition",
      "no OCI runtime is installed: apt-get install crun (or run ./setup)",
    );
  }
  if (!runtimes.has(defaultRuntime)) {
    throw new NaruError(
      "failed_precondition",
      `default runtime "${defaultRuntime}" is not installed (there are: ${[...runtimes.keys()].join(", ")})`,
    );
  }
  requireTool("nft", "nftables");
  return {
    conmon: requireTool("conmon", "conmon"),
    runtimes,
    defaultRuntime,
    init: INITS.values()
      .map(findTool)
      .find((path) => path !== undefined),
  };
};
