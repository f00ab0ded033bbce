/**
 * Compose files of git repositories: `-f`, `include` and `extends` take "https://host/x.git#ref:path".
 * Each commit is kept once, under the user's cache folder.
 */
import { NAMES } from "#spec/compose/inputs.ts";
import { Complaint } from "#spec/dockerfile/error.ts";
import { parseGitOrigin } from "#spec/dockerfile/git-origin.ts";
import type { GitOrigin } from "#spec/dockerfile/plan.ts";
import { NaruError } from "#lib/errors.ts";
import { lateFs } from "#lib/late-builtins.ts";

type Environment = Readonly<Record<string, string | undefined>>;

const GIT_LIMIT_MS = 120_000;
/** Their repositories are known without ".git". */
const GIT_HOSTS = /^https:\/\/(?:github|gitlab)\.com\/[^/]+\/[^/#?.]+(?:[#?]|$)/;
/** No transport that runs a program of the address's choice. */
const SAFE = ["-c", "protocol.ext.allow=never"];
const COMMIT = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/;

/** Nothing of the caller's own repository, and no question to a terminal that may not be there. */
const gitEnvironment = (environment: Environment): Record<string, string | undefined> => ({
  ...environment,
  GIT_DIR: undefined,
  GIT_WORK_TREE: undefined,
  GIT_INDEX_FILE: undefined,
  GIT_TERMINAL_PROMPT: "0",
});

const git = (address: string, environment: Environment, ...args: string[]): string => {
  const program = Bun.which("git", { PATH: environment["PATH"] ?? "" });
  if (program === null) {
    throw new NaruError("unavailable", `"${address}" is fetched by git, which is not installed`);
  }
  const done = Bun.spawnSync([program, ...args], {
    stdin: "ignore",
    env: gitEnvironment(environment),
    timeout: GIT_LIMIT_MS,
  });
  if (done.exitCode === 0) return done.stdout.toString();
  const said = done.stderr.toString().trim();
  const reason =
    said !== ""
      ? said
      : args.includes("ls-remote")
        ? "there is no such branch or tag"
        : `git ${args.join(" ")} failed`;
  throw new NaruError("unavailable", `cannot fetch "${address}": ${reason}`);
};

/** Addresses as people write them: "github.com/owner/name" too. Undefined: no git address. */
export const gitAddress = (address: string): GitOrigin | undefined => {
  const full = address.startsWith("github.com/") ? `https://${address}` : address;
  const named = GIT_HOSTS.test(full) ? full.replace(/(?=[#?]|$)/, ".git") : full;
  try {
    return parseGitOrigin(named, undefined, undefined);
  } catch (error) {
    if (!(error instanceof Complaint)) throw error;
    throw new NaruError("invalid_argument", `"${address}": ${error.message}`, { cause: error });
  }
};

/**
 * The object of that name in what `git ls-remote` lists: it lists "feature/main" for "main", too. Exact names go first,
 * then tags, then branches, as git has it (gitrevisions(7)).
 */
export const refIn = (listing: string, wanted: string): string | undefined => {
  const rows = listing.split("\n").map((line) => line.split("\t"));
  return ["", "refs/", "refs/tags/", "refs/heads/"]
    .map((prefix) => rows.find(([, name]) => name === prefix + wanted)?.[0])
    .find((commit) => commit !== undefined && COMMIT.test(commit));
};

const commitOf = (address: string, origin: GitOrigin, environment: Environment): string => {
  const ref = origin.checksum === "" ? origin.ref : origin.checksum;
  if (COMMIT.test(ref)) return ref;
  const wanted = ref === "" ? "HEAD" : ref;
  const found = git(
    address,
    environment,
    ...SAFE,
    "ls-remote",
    "--exit-code",
    "--",
    origin.remote,
    wanted,
  );
  const commit = refIn(found, wanted);
  if (commit !== undefined) return commit;
  throw new NaruError("unavailable", `cannot fetch "${address}": there is no such branch or tag`);
};

/** The folder of that commit. Made whole under another name first: another command may be making it too. */
const checkedOut = (
  address: string,
  origin: GitOrigin,
  commit: string,
  environment: Environment,
): string => {
  const { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } = lateFs();
  const cache = environment["XDG_CACHE_HOME"] ?? `${environment["HOME"] ?? "/root"}/.cache`;
  const parent = `${cache}/naru/compose`;
  const remote = Bun.hash(origin.remote).toString(36);
  const folder = `${parent}/${commit}-${remote}`;
  if (existsSync(folder)) return folder;
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  const half = mkdtempSync(`${parent}/.half-`);
  try {
    const inside = (...args: string[]): string =>
      git(address, environment, ...SAFE, "-C", half, ...args);
    inside("init", "-q");
    inside("remote", "add", "origin", origin.remote);
    inside("fetch", "-q", "--depth", "1", "origin", commit);
    inside("checkout", "-q", "--detach", "FETCH_HEAD");
    if (origin.hasSubmodules && existsSync(`${half}/.gitmodules`)) {
      inside("submodule", "update", "-q", "--init", "--recursive", "--depth", "1");
    }
    try {
      renameSync(half, folder);
    } catch (error) {
      if (!existsSync(folder)) throw error;
    }
  } finally {
    rmSync(half, { recursive: true, force: true });
  }
  return folder;
};

/** The compose file at that address, on this machine. Undefined when it is no git address. */
export const fetchGitFile = (address: string, environment: Environment): string | undefined => {
  const origin = gitAddress(address);
  if (origin === undefined) return undefined;
  const { existsSync, statSync } = lateFs();
  const commit = commitOf(address, origin, environment);
  const folder = checkedOut(address, origin, commit, environment);
  const path = origin.subdirectory === "" ? folder : `${folder}/${origin.subdirectory}`;
  if (!existsSync(path)) {
    throw new NaruError("not_found", `"${address}" has no "${origin.subdirectory}"`);
  }
  if (!statSync(path).isDirectory()) return path;
  const name = NAMES.find((one) => existsSync(`${path}/${one}`));
  if (name === undefined) throw new NaruError("not_found", `"${address}" has no compose.yaml`);
  return `${path}/${name}`;
};
