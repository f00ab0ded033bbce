/** What comes from elsewhere: files by URL, git repositories; for ADD and for remote contexts. */
import {
  chmodSync,
  existsSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { posix } from "node:path";
import type { BuildContext } from "#build/context.ts";
import { makeContextDirectory, unpackContext } from "#build/context.ts";
import type { BuildDependencies } from "#build/dependencies.ts";
import type { CopyFrom } from "#build/op/copy.ts";
import { fileMaterial, gitMaterial } from "#build/materials.ts";
import type { BuildSession } from "#build/session.ts";
import { type SourceTree, contextTree } from "#build/trees.ts";
import { NaruError } from "#lib/errors.ts";
import { fetchReason } from "#lib/fetch-reason.ts";
import { fetchProxy } from "#remote/hosts.ts";
import type { ProxyConfig } from "#remote/remote.ts";
import { Complaint } from "#spec/dockerfile/error.ts";
import { parseGitOrigin } from "#spec/dockerfile/git-origin.ts";
import type { GitOrigin } from "#spec/dockerfile/plan.ts";
import { MAGIC_BYTES, detectCompression } from "#snapshot/compression.ts";

/** How long, and by which way. */
interface Way {
  readonly signal: AbortSignal;
  readonly proxy: ProxyConfig;
}

const DOWNLOAD_MAX_BYTES = 64 * 1024 ** 3;
const GIT_HOSTS = /^(?:https?:\/\/)?(?:github|gitlab)\.com\/[^/]+\/[^/#?]+/;

const isUrl = (text: string): boolean => /^https?:\/\//i.test(text);

const failedFetch = (url: string, reason: string, cause?: unknown): NaruError =>
  new NaruError(
    "unavailable",
    `cannot fetch "${url}": ${reason}`,
    cause === undefined ? {} : { cause },
  );

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    // A "%" that escapes nothing stands for itself.
    return text;
  }
};

/** As its address says, or its server where that says nothing; BuildKit's word where neither does. */
const nameOf = (url: string, response: Response): string => {
  const disposition = response.headers.get("content-disposition") ?? "";
  const given = /filename="?([^";]+)"?/i.exec(disposition)?.[1] ?? "";
  const names = [new URL(url).pathname, given].map((text) => posix.basename(decoded(text)));
  return names.find((name) => !["", ".", ".."].includes(name)) ?? "__unnamed__";
};

/** Downloads into `directory`; resolves to the file's name and its sha256. */
const download = async (
  url: string,
  directory: string,
  { signal, proxy }: Way,
): Promise<{ name: string; digest: string; path: string }> => {
  let response: Response;
  try {
    const way = { proxy: fetchProxy(new URL(url), proxy) };
    response = await fetch(url, { signal, redirect: "follow", ...way });
  } catch (error) {
    signal.throwIfAborted();
    throw failedFetch(url, fetchReason(error), error);
  }
  if (!response.ok || response.body === null) {
    throw failedFetch(url, `the server answered ${response.status} ${response.statusText}`);
  }
  const name = nameOf(url, response);
  const path = `${directory}/${name}`;
  const hasher = new Bun.CryptoHasher("sha256");
  const writer = Bun.file(path).writer();
  let size = 0;
  try {
    for await (const chunk of response.body) {
      size += chunk.length;
      if (size > DOWNLOAD_MAX_BYTES) throw failedFetch(url, "it is too large");
      hasher.update(chunk);
      await writer.write(chunk);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof NaruError ? error : failedFetch(url, fetchReason(error), error);
  } finally {
    await writer.end();
  }
  chmodSync(path, 0o600);
  const modified = Date.parse(response.headers.get("last-modified") ?? "");
  const seconds = Number.isNaN(modified) ? 0 : modified / 1000;
  utimesSync(path, seconds, seconds);
  return { name, digest: hasher.digest("hex"), path };
};

/** Repositories on well-known hosts are named without their ".git", too. */
const gitContext = (remote: string): GitOrigin | undefined => {
  const url = remote.startsWith("github.com/") ? `https://${remote}` : remote;
  const named = GIT_HOSTS.test(url) ? url.replace(/(?:\.git)?(?=[?#]|$)/, ".git") : url;
  try {
    return parseGitOrigin(named, true, undefined);
  } catch (error) {
    if (!(error instanceof Complaint)) throw error;
    throw new NaruError("invalid_argument", `invalid remote context "${remote}": ${error.message}`);
  }
};

/** No transport that runs a program of the address's choice. */
const SAFE = ["-c", "protocol.ext.allow=never"];
const GIT_VERBS = ["init", "remote", "fetch", "update-ref", "checkout", "rev-parse", "submodule"];

/** As curl reads them, which git stands on. */
const proxyVariables = ({ http, https, none }: ProxyConfig): Record<string, string> => ({
  ...(http === "" ? {} : { http_proxy: http }),
  ...(https === "" ? {} : { https_proxy: https }),
  // Loopback is always reached directly.
  no_proxy: [none, "localhost", "127.0.0.0/8", "::1"].filter((part) => part !== "").join(","),
});

const git = async (args: readonly string[], { signal, proxy }: Way): Promise<string> => {
  const program = Bun.which("git");
  if (program === null) {
    throw new NaruError("failed_precondition", "git is not installed: apt-get install git");
  }
  const child = Bun.spawn([program, ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: {
      PATH: "/usr/local/bin:/usr/bin:/bin",
      GIT_TERMINAL_PROMPT: "0",
      HOME: "/root",
      ...proxyVariables(proxy),
    },
  });
  const kill = (): void => child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  try {
    const [out, complaint, code] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    signal.throwIfAborted();
    if (code === 0) return out.trim();
    throw new NaruError(
      "unavailable",
      `git ${args.find((word) => GIT_VERBS.includes(word)) ?? ""} failed: ${complaint.trim().slice(-1000)}`,
    );
  } finally {
    signal.removeEventListener("abort", kill);
  }
};

/** Every file says that it was written when the commit was made. */
const setTimes = async (root: string, way: Way): Promise<void> => {
  const seconds = Number(await git(["-C", root, "log", "-1", "--format=%ct"], way));
  for (const name of readdirSync(root, { recursive: true, encoding: "utf8" })) {
    lutimesSync(`${root}/${name}`, seconds, seconds);
  }
};

const fetchRef = async (
  { remote, ref, checksum, isFetchedByCommit }: GitOrigin,
  root: string,
  way: Way,
): Promise<void> => {
  const at = ["-C", root];
  await git([...at, "remote", "add", "origin", remote], way);
  const named = isFetchedByCommit && checksum !== "" ? checksum : ref;
  const wanted = named === "" ? "HEAD" : named;
  const isCommit = /^[0-9a-f]{7,64}$/.test(named);
  try {
    await git([...SAFE, ...at, "fetch", "--quiet", "--depth=1", "origin", wanted], way);
  } catch (error) {
    way.signal.throwIfAborted();
    const isPlain = error instanceof NaruError && /shallow/.test(error.message);
    if (!isPlain && !isCommit) throw error;
    // Servers that give no part of a history, or no single commits: all of it, then look.
    await git([...SAFE, ...at, "fetch", "--quiet", "origin", ...(isCommit ? [] : [wanted])], way);
    if (isCommit) await git([...at, "update-ref", "FETCH_HEAD", named], way);
  }
};

/** Checks an origin out into `root` (made). `path` is what of it is meant; "" is all. */
const checkOut = async (
  origin: GitOrigin,
  root: string,
  way: Way,
): Promise<{ readonly path: string; readonly commit: string }> => {
  const { remote, ref, checksum } = origin;
  if (remote.startsWith("-") || ref.startsWith("-")) {
    throw new NaruError("invalid_argument", `invalid git reference "${remote}#${ref}"`);
  }
  mkdirSync(root, { recursive: true, mode: 0o755 });
  await git(["init", "--quiet", root], way);
  await fetchRef(origin, root, way);
  const at = ["-C", root];
  await git([...at, "-c", "advice.detachedHead=false", "checkout", "--quiet", "FETCH_HEAD"], way);
  const commit = await git([...at, "rev-parse", "HEAD"], way);
  if (checksum !== "") checkSum(remote, checksum, commit);
  if (origin.hasSubmodules && existsSync(`${root}/.gitmodules`)) {
    await git([...SAFE, ...at, "submodule", "update", "--init", "--recursive", "--depth=1"], way);
  }
  if (origin.timesFrom === "commit") await setTimes(root, way);
  if (!origin.keepsGitDir) rmSync(`${root}/.git`, { recursive: true, force: true });
  const path = posix.normalize(`/${origin.subdirectory}`).slice(1).replace(/\/$/, "");
  return { path, commit };
};

/**
 * A directory of the repository. Throws invalid_argument where there is none: a link in it may lead anywhere on this
 * machine.
 */
const directoryIn = (remote: string, repository: string, path: string): string => {
  const root = realpathSync(repository);
  const found = `${root}/${path}`;
  const isThere = existsSync(found) && statSync(found).isDirectory();
  const real = isThere ? realpathSync(found) : "";
  if (real === root || real.startsWith(`${root}/`)) return real;
  throw new NaruError(
    "invalid_argument",
    `"${remote}" has no directory "${path}": name one that lies in the repository`,
  );
};

const checkSum = (url: string, wanted: string, actual: string): void => {
  const isSame = wanted === actual || wanted === `sha256:${actual}` || actual.startsWith(wanted);
  if (isSame) return;
  throw new NaruError(
    "data_loss",
    `digest mismatch for "${url}": got ${actual}, expected ${wanted}`,
  );
};

type Fetched = Omit<CopyFrom, "isUnpacked">;
type Place = Pick<BuildSession, "temporaryTree" | "signal"> & {
  readonly dependencies: Pick<BuildDependencies, "proxy">;
} & Partial<Pick<BuildSession, "materials">>;

const wayOf = ({ signal, dependencies: { proxy } }: Place): Way => ({ signal, proxy });

const treeOf = (name: string, root: string, digests: ReadonlyMap<string, string>): SourceTree =>
  contextTree({ root, digests, hint: "" }, name);

/** A repository for ADD. */
export const fetchGit = async (place: Place, origin: GitOrigin): Promise<Fetched> => {
  const { root } = place.temporaryTree("remote");
  const { path, commit } = await checkOut(origin, root, wayOf(place));
  const material = gitMaterial(origin.remote, origin.ref, commit);
  place.materials?.set(material.uri, material);
  return { tree: treeOf(origin.remote, root, new Map()), sources: [path === "" ? "." : path] };
};

/** A file for ADD. Throws data_loss when its content is not `checksum`. */
export const fetchUrl = async (
  place: Place,
  url: string,
  checksum: string | undefined,
): Promise<Fetched> => {
  const { root } = place.temporaryTree("remote");
  mkdirSync(root, { recursive: true, mode: 0o755 });
  const { name, digest } = await download(url, root, wayOf(place));
  if (checksum !== undefined) checkSum(url, checksum, digest);
  place.materials?.set(url, fileMaterial(url, digest));
  return {
    tree: treeOf(url, root, new Map([[name, digest]])),
    sources: [name.replaceAll(/[*?[\\]/g, "\\$&")],
  };
};

const isArchive = async (path: string): Promise<boolean> => {
  const head = await Bun.file(path).slice(0, 512).bytes();
  if (detectCompression(head.subarray(0, MAGIC_BYTES)) !== "none") return true;
  return Buffer.from(head.subarray(257, 262)).toString("latin1") === "ustar";
};

/** See `Builds.fetchContext`. */
export const fetchContext = async (
  dependencies: BuildDependencies,
  remote: string,
  signal: AbortSignal,
): Promise<BuildContext> => {
  using undo = new DisposableStack();
  const way = { signal, proxy: dependencies.proxy };
  const { root, [Symbol.dispose]: dispose } = undo.use(makeContextDirectory(dependencies));
  const base = { digests: new Map<string, string>(), hint: "", [Symbol.dispose]: dispose };
  const origin = gitContext(remote);
  if (origin !== undefined) {
    const { path } = await checkOut(origin, `${root}/repository`, way);
    const directory = directoryIn(origin.remote, `${root}/repository`, path);
    undo.move();
    return { ...base, root: directory };
  }
  if (!isUrl(remote)) {
    throw new NaruError(
      "invalid_argument",
      `remote context "${remote}" is neither a URL nor a git repository`,
    );
  }
  const downloads = `${root}/download`;
  mkdirSync(downloads);
  const { path } = await download(remote, downloads, way);
  const tree = `${root}/tree`;
  mkdirSync(tree);
  if (await isArchive(path)) {
    const { digests } = await unpackContext(dependencies.kernel, tree, Bun.file(path).stream());
    undo.move();
    return { ...base, root: tree, digests };
  }
  // A Dockerfile alone.
  await Bun.write(`${tree}/Dockerfile`, Bun.file(path));
  undo.move();
  return { ...base, root: tree };
};
