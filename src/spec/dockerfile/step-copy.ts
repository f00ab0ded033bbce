/** COPY and ADD with everything resolved. */
import { posix } from "node:path";
import type { AddInstruction, CopyInstruction } from "#spec/dockerfile/dockerfile.ts";
import { Complaint } from "#spec/dockerfile/error.ts";
import { parseGitOrigin } from "#spec/dockerfile/git-origin.ts";
import type { CopyStep, FileOrigin, Source } from "#spec/dockerfile/plan.ts";
import { type StageDraft, joinPath } from "#spec/dockerfile/stage-state.ts";

type Transfer = AddInstruction | CopyInstruction;
type Details = Omit<CopyStep, "instruction" | "isTrigger" | "title" | "createdBy" | "config">;

const OCTAL_MAX = 0o7777;
/** chmod(1): "u+x", "go-w,a=rX". */
const SYMBOLIC =
  /^(?:[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+)(?:,[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+)*$/;
const DIGEST = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/;

const checkMode = (mode: string | undefined): string | undefined => {
  if (mode === undefined) return undefined;
  const isOctal = /^[0-7]+$/.test(mode) && parseInt(mode, 8) <= OCTAL_MAX;
  if (isOctal || SYMBOLIC.test(mode)) return mode;
  throw new Complaint(
    `invalid chmod parameter: '${mode}'. it should be octal string and between 0 and 07777`,
  );
};

const isUrl = (source: string): boolean => /^https?:\/\//.test(source);

const urlOrigin = (url: string): FileOrigin => {
  const path = URL.canParse(url) ? new URL(url).pathname : "/";
  const name = posix.basename(path);
  return { kind: "url", url, fileName: name === "" ? "__unnamed__" : name };
};

/** What matches stays below its pivot: the part before "/./", or the root. */
const parentsOrigin = (source: string): FileOrigin => {
  const at = source.indexOf("/./");
  const pivot = joinPath("/", at < 0 ? "" : source.slice(0, at));
  const pattern = joinPath("/", at < 0 ? source : source.slice(at + 3)).slice(1);
  return { kind: "parents", pivot, pattern, written: source };
};

const pathOrigin = (source: string): FileOrigin => ({
  kind: "path",
  path: source.startsWith("/") ? source : joinPath("/", source),
  written: source,
});

const copyOrigin = (instruction: CopyInstruction, source: string): FileOrigin => {
  if (parseGitOrigin(source, undefined, undefined) !== undefined) {
    throw new Complaint("source can't be a git ref for COPY");
  }
  if (isUrl(source)) throw new Complaint("source can't be a URL for COPY");
  return instruction.isParents ? parentsOrigin(source) : pathOrigin(source);
};

const addOrigin = (
  instruction: AddInstruction,
  source: string,
  checksum: string | undefined,
): FileOrigin => {
  const git = parseGitOrigin(source, instruction.keepGitDir, checksum);
  if (git !== undefined) return { kind: "git", git };
  if (!isUrl(source)) return pathOrigin(source);
  if (checksum !== undefined && !DIGEST.test(checksum)) {
    throw new Complaint(`invalid checksum digest format: ${JSON.stringify(checksum)}`);
  }
  if (checksum !== undefined && !checksum.startsWith("sha256:")) {
    throw new Complaint(`unsupported digest algorithm: ${JSON.stringify(checksum)} (use sha256)`);
  }
  return urlOrigin(source);
};

const checkChecksum = (checksum: string | undefined, origins: readonly FileOrigin[]): void => {
  if (checksum === undefined) return;
  if (origins.length !== 1) throw new Complaint("checksum can't be specified for multiple sources");
  if (origins[0]?.kind !== "url" && origins[0]?.kind !== "git") {
    throw new Complaint("checksum requires HTTP(S) or Git sources");
  }
};

/** Relative to the working directory; "/" and "/." at the end say that it is a directory, and stay. */
const destinationPath = (draft: StageDraft, written: string): string => {
  const path = written === "" || written === "." ? "./" : written;
  const joined = path.startsWith("/") ? path : joinPath(draft.cwd, path);
  if (path.endsWith("/") && !joined.endsWith("/")) return `${joined}/`;
  if (!path.endsWith("/.") || joined.endsWith("/.")) return joined;
  return joined === "/" ? "/." : `${joined}/.`;
};

/** The step, and its line for the history. Throws Complaint. */
export const planCopy = (
  draft: StageDraft,
  instruction: Transfer,
  source: Source | undefined,
): readonly [details: Details, createdBy: string] => {
  const isAdd = instruction.name === "ADD";
  const chown = draft.expandOptional(instruction.chown);
  const chmod = draft.expandOptional(instruction.chmod);
  const checksum = isAdd ? draft.expandOptional(instruction.checksum) : undefined;
  const sources = instruction.sources.map((word) => draft.expand(word));
  const written = draft.expand(instruction.destination);
  const inlineFiles = instruction.inlineFiles.map((file) => ({
    name: file.path,
    content: file.isExpanded
      ? draft.expansion(file.content, { escape: "\\", ignoresQuotes: true }).text
      : file.content,
  }));
  checkMode(chmod);
  const origins = sources.map((text) =>
    isAdd ? addOrigin(instruction, text, checksum) : copyOrigin(instruction, text),
  );
  checkChecksum(checksum, origins);
  const parts = [
    instruction.name,
    ...(!isAdd && instruction.isParents ? ["--parents"] : []),
    ...(chown === undefined ? [] : [`--chown=${chown}`]),
    ...(chmod === undefined ? [] : [`--chmod=${chmod}`]),
    ...sources,
    ...inlineFiles.map((file) => `<<${file.name}`),
    written,
  ];
  const details: Details = {
    kind: "copy",
    isAdd,
    from: source ?? { kind: "context" },
    origins,
    inlineFiles,
    destination: destinationPath(draft, written),
    chown,
    chmod,
    isLink: instruction.isLink,
    excludes: instruction.excludes.map((word) => word.text),
    checksum,
    unpacksLocal: isAdd && instruction.unpack !== false,
    unpacksUrls: isAdd && instruction.unpack === true,
  };
  return [details, parts.join(" ")];
};
