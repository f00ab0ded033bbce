/** Git repositories as ADD names them: "https://host/x.git#ref:dir", "git@host:x.git?tag=v1". */
import { cleanPath } from "#lib/path.ts";
import { Complaint } from "#spec/dockerfile/error.ts";
import { readBool } from "#spec/dockerfile/mount.ts";
import type { GitOrigin } from "#spec/dockerfile/plan.ts";

interface Parts {
  readonly remote: string;
  readonly query: string;
  readonly fragment: string;
}

/** user@host:path, without a scheme. */
const SCP_STYLE = /^[a-zA-Z0-9-_]+@[a-zA-Z0-9-.]+:[^?#]*/;
const SCHEME = /^([a-zA-Z0-9]+):\/\//;

const cutOff = (text: string, mark: string): readonly [head: string, tail: string] => {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
};

const partsOf = (source: string): Parts | undefined => {
  const scheme = SCHEME.exec(source)?.[1]?.toLowerCase();
  if (scheme === undefined && !SCP_STYLE.test(source)) return undefined;
  if (scheme !== undefined && !["http", "https", "ssh", "git"].includes(scheme)) return undefined;
  const [head, fragment] = cutOff(source, "#");
  const [remote, query] = cutOff(head, "?");
  // Any other URL is a file to download.
  if (scheme?.startsWith("http") === true && !remote.endsWith(".git")) return undefined;
  return { remote, query, fragment };
};

const withPrefix = (prefix: string, name: string): string =>
  name.startsWith(prefix) ? name : prefix + name;

type Draft = { -readonly [K in keyof GitOrigin]: GitOrigin[K] };

const setOnce = (draft: Draft, key: "ref" | "subdirectory", value: string, what: string): void => {
  const old = draft[key];
  if (old !== "" && old !== value) {
    throw new Complaint(`${what} conflicts: ${JSON.stringify(old)} vs ${JSON.stringify(value)}`);
  }
  draft[key] = value;
};

const applyQuery = (draft: Draft, key: string, value: string): void => {
  const flag = (): boolean => value === "" || readBool(value, key);
  switch (key) {
    case "keep-git-dir":
      draft.keepsGitDir = flag();
      return;
    case "submodules":
      draft.hasSubmodules = flag();
      return;
    case "fetch-by-commit":
      draft.isFetchedByCommit = flag();
      return;
    default:
  }
  if (value === "") throw new Complaint(`query ${JSON.stringify(key)} has no value`);
  switch (key) {
    case "ref":
      setOnce(draft, "ref", value, "ref");
      return;
    case "tag":
      setOnce(draft, "ref", withPrefix("refs/tags/", value), "ref");
      return;
    case "branch":
      setOnce(draft, "ref", withPrefix("refs/heads/", value), "ref");
      return;
    case "subdir":
      setOnce(draft, "subdirectory", value, "subdir");
      return;
    case "checksum":
    case "commit":
      draft.checksum = value;
      return;
    case "mtime":
      if (value !== "checkout" && value !== "commit") {
        throw new Complaint(
          `invalid mtime value: ${JSON.stringify(value)} (must be "checkout" or "commit")`,
        );
      }
      draft.timesFrom = value;
      return;
    default:
      throw new Complaint(`unexpected query ${JSON.stringify(key)}`);
  }
};

/**
 * undefined: no git repository. A "keep-git-dir" in the address must agree with the flag, a checksum too.
 * Throws Complaint.
 */
export const parseGitOrigin = (
  source: string,
  keepGitDir: boolean | undefined,
  checksum: string | undefined,
): GitOrigin | undefined => {
  const parts = partsOf(source);
  if (parts === undefined) return undefined;
  const [ref, directory] = cutOff(parts.fragment, ":");
  const draft: Draft = {
    remote: parts.remote,
    ref,
    subdirectory: cleanPath(`/${directory}`).slice(1),
    checksum: "",
    keepsGitDir: keepGitDir ?? false,
    hasSubmodules: true,
    timesFrom: "checkout",
    isFetchedByCommit: false,
  };
  const query = new URLSearchParams(parts.query);
  for (const key of new Set(query.keys())) {
    const values = query.getAll(key);
    if (values.length > 1) throw new Complaint(`query ${JSON.stringify(key)} has multiple values`);
    applyQuery(draft, key, values[0] ?? "");
  }
  if (keepGitDir !== undefined && keepGitDir !== draft.keepsGitDir) {
    throw new Complaint("inconsistent keep-git-dir configuration");
  }
  const wanted = checksum ?? "";
  if (wanted !== "" && draft.checksum !== "" && wanted !== draft.checksum) {
    const [a, b] = [JSON.stringify(wanted), JSON.stringify(draft.checksum)];
    throw new Complaint(`checksum mismatch ${a} != ${b}`);
  }
  if (wanted !== "") draft.checksum = wanted;
  return draft;
};
