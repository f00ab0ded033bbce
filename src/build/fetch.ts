/** What comes from elsewhere: files by URL, git repositories; for ADD and for remote contexts. */
import { chmodSync, existsSync, mkdirSync, rmSync, utimesSync } from "node:fs";
import { posix } from "node:path";
import type { BuildContext } from "#build/context.ts";
import { makeContextDirectory, unpackContext } from "#build/context.ts";
import type { BuildDependencies } from "#build/dependencies.ts";
import type { CopyFrom } from "#build/op/copy.ts";
import type { BuildSession } from "#build/session.ts";
import { NaruError } from "#lib/errors.ts";
import { MAGIC_BYTES, detectCompression } from "#snapshot/compression.ts";

const DOWNLOAD_MAX_BYTES = 64 * 1024 ** 3;
const GIT_HOSTS = /^(?:https?:\/\/)?(?:github|gitlab)\.com\/[^/]+\/[^/#?]+/;

const isUrl = (text: string): boolean => /^https?:\/\//i.test(text);

/** "https://host/x.git#ref:dir", "git@host:x.git", "git://…", "ssh://…". */
export const isGitReference = (text: string): boolean =>
  /^(git|ssh):\/\//i.test(text) ||
  /^[\w.-]+@[\w.-]+:/.test(text) ||
  (isUrl(text) && /\.git(?:[#?].*)?$/.test(text)) ||
  text.startsWith("github.com/");

export const isRemoteSource = (text: string): boolean => isUrl(text) || isGitReference(text);

const failedFetch = (url: string, reason: string, cause?: unknown): NaruError =>
  new NaruError(
    "unavailable",
    `cannot fetch "${url}": ${reason}`,
    cause === undefined ? {} : { cause },
  );

const nameOf = (url: string, response: Response): string => {
  const disposition = response.headers.get("content-disposition") ?? "";
  const given = /filename="?([^";]+)"?/i.exec(disposition)?.[1];
  const name = posix.basename(decodeURIComponent(given ?? new URL(url).pathname));
  if (name === "" || name === "." || name === "..") {
    throw new NaruError("invalid_argument", `cannot determine filename from url: ${url}`);
  }
  return name;
};

/** Downloads into `directory`; resolves to the file's name and its sha256. */
const download = async (
  url: string,
  directory: string,
  signal: AbortSignal,
): Promise<{ name: string; digest: string; path: string }> => {
  let response: Response;
  try {
    response = await fetch(url, { signal, redirect: "follow" });
  } catch (error) {
    signal.throwIfAborted();
    throw failedFetch(url, error instanceof Error ? error.message : String(error), error);
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
  } finally {
    await writer.end();
  }
  chmodSync(path, 0o600);
  const modified = Date.parse(response.headers.get("last-modified") ?? "");
  const seconds = Number.isNaN(modified) ? 0 : modified / 1000;
  utimesSync(path, seconds, seconds);
  return { name, digest: hasher.digest("hex"), path };
};

interface GitReference {
  readonly remote: string;
  readonly ref: string;
  readonly directory: string;
}

/** The query form is that of newer clients: "?ref=…&subdir=…". */
export const parseGitReference = (text: string): GitReference => {
  const [beforeHash = "", fragment = ""] = text.split("#", 2);
  const [address = "", query = ""] = beforeHash.split("?", 2);
  const parameters = new URLSearchParams(query);
  const [ref = "", directory = ""] = fragment.split(":", 2);
  const remote = address.startsWith("github.com/") ? `https://${address}` : address;
  return {
    remote,
    ref: parameters.get("ref") ?? parameters.get("branch") ?? parameters.get("tag") ?? ref,
    directory: parameters.get("subdir") ?? directory,
  };
};

const GIT_VERBS = ["init", "remote", "fetch", "update-ref", "checkout", "rev-parse", "submodule"];

const git = async (args: readonly string[], signal: AbortSignal): Promise<string> => {
  const program = Bun.which("git");
  if (program === null) {
    throw new NaruError("failed_precondition", "git is not installed: apt-get install git");
  }
  const child = Bun.spawn([program, ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: "/usr/local/bin:/usr/bin:/bin", GIT_TERMINAL_PROMPT: "0", HOME: "/root" },
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

/** Checks a reference out into `root` (made). Resolves to the commit's hash. */
const checkOut = async (
  { remote, ref, directory }: GitReference,
  root: string,
  keepsGitDirectory: boolean,
  signal: AbortSignal,
): Promise<{ commit: string; path: string }> => {
  if (remote.startsWith("-") || ref.startsWith("-")) {
    throw new NaruError("invalid_argument", `invalid git reference "${remote}#${ref}"`);
  }
  mkdirSync(root, { recursive: true, mode: 0o755 });
  await git(["init", "--quiet", root], signal);
  const at = ["-C", root];
  await git([...at, "remote", "add", "origin", remote], signal);
  const wanted = ref === "" ? "HEAD" : ref;
  const isAllowed = ["-c", "protocol.ext.allow=never"];
  try {
    await git([...isAllowed, ...at, "fetch", "--quiet", "--depth=1", "origin", wanted], signal);
  } catch (error) {
    signal.throwIfAborted();
    const isPlain = error instanceof NaruError && /shallow/.test(error.message);
    const isCommit = /^[0-9a-f]{7,64}$/.test(ref);
    if (!isPlain && !isCommit) throw error;
    // Servers that give no part of a history, or no single commits: all of it, then look.
    const all = isCommit ? [] : [wanted];
    await git([...isAllowed, ...at, "fetch", "--quiet", "origin", ...all], signal);
    if (isCommit) await git([...at, "update-ref", "FETCH_HEAD", ref], signal);
  }
  await git(
    [...at, "-c", "advice.detachedHead=false", "checkout", "--quiet", "FETCH_HEAD"],
    signal,
  );
  const commit = await git([...at, "rev-parse", "HEAD"], signal);
  if (existsSync(`${root}/.gitmodules`)) {
    await git(
      [...isAllowed, ...at, "submodule", "update", "--init", "--recursive", "--depth=1"],
      signal,
    );
  }
  if (!keepsGitDirectory) rmSync(`${root}/.git`, { recursive: true, force: true });
  const path = posix.normalize(`/${directory}`).slice(1).replace(/\/$/, "");
  return { commit, path };
};

const checkSum = (url: string, wanted: string, actual: string): void => {
  const isSame = wanted === actual || wanted === `sha256:${actual}` || actual.startsWith(wanted);
  if (isSame) return;
  throw new NaruError(
    "data_loss",
    `digest mismatch for "${url}": got ${actual}, expected ${wanted}`,
  );
};

export interface FetchOptions {
  readonly checksum: string | undefined;
  readonly keepsGitDirectory: boolean;
}

const treeOf = (
  name: string,
  root: string,
  digests = new Map<string, string>(),
): CopyFrom["tree"] => ({
  name,
  root,
  digests,
  hasOwners: false,
  layers: undefined,
  hint: "",
});

/** For ADD: a tree, and what of it is meant. */
export const fetchSource = async (
  session: Pick<BuildSession, "temporaryTree" | "signal">,
  source: string,
  { checksum, keepsGitDirectory }: FetchOptions,
): Promise<Omit<CopyFrom, "isUnpacked">> => {
  const { root } = session.temporaryTree("remote");
  if (isGitReference(source)) {
    const reference = parseGitReference(source);
    const { commit, path } = await checkOut(reference, root, keepsGitDirectory, session.signal);
    if (checksum !== undefined) checkSum(source, checksum, commit);
    return { tree: treeOf(source, root), sources: [path === "" ? "." : path] };
  }
  mkdirSync(root, { recursive: true, mode: 0o755 });
  const { name, digest } = await download(source, root, session.signal);
  if (checksum !== undefined) checkSum(source, checksum, digest);
  return {
    tree: treeOf(source, root, new Map([[name, digest]])),
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
  const { root, [Symbol.dispose]: dispose } = undo.use(makeContextDirectory(dependencies));
  const base = { digests: new Map<string, string>(), hint: "", [Symbol.dispose]: dispose };
  if (isGitReference(remote) || GIT_HOSTS.test(remote)) {
    const { path } = await checkOut(parseGitReference(remote), `${root}/repository`, true, signal);
    undo.move();
    return { ...base, root: path === "" ? `${root}/repository` : `${root}/repository/${path}` };
  }
  if (!isUrl(remote)) {
    throw new NaruError(
      "invalid_argument",
      `remote context "${remote}" is neither a URL nor a git repository`,
    );
  }
  const downloads = `${root}/download`;
  mkdirSync(downloads);
  const { path } = await download(remote, downloads, signal);
  const tree = `${root}/tree`;
  mkdirSync(tree);
  if (await isArchive(path)) {
    const digests = await unpackContext(dependencies.kernel, tree, Bun.file(path).stream());
    undo.move();
    return { ...base, root: tree, digests };
  }
  // A Dockerfile alone.
  await Bun.write(`${tree}/Dockerfile`, Bun.file(path));
  undo.move();
  return { ...base, root: tree };
};
