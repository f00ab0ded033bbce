/**
 * Where a copy goes and what it is called there: the rules of `cp -a` as docker states them. Pure:
 * whoever calls has looked at both sides.
 */
import { NaruError } from "#lib/errors.ts";
import { cleanPath } from "#lib/path.ts";

export interface CopySource {
  /** As written; "dir/." means the folder's contents. */
  readonly path: string;
  readonly isFolder: boolean;
}

export interface CopyTarget {
  readonly path: string;
  readonly exists: boolean;
  readonly isFolder: boolean;
}

export interface CopyPlan {
  /** The folder to unpack in. */
  readonly folder: string;
  /** The first part of every name in the archive, before and after. */
  readonly from: string;
  readonly to: string;
}

export const baseOf = (path: string): string => {
  if (/(^|\/)\.\/?$/.test(path)) return ".";
  // An archive has the name of what ".." leads to.
  const trimmed = (/(^|\/)\.\.\/?$/.test(path) ? cleanPath(path) : path).replace(/\/+$/, "");
  return trimmed.slice(trimmed.lastIndexOf("/") + 1) || "/";
};

export const parentOf = (path: string): string => {
  const trimmed = path.replace(/\/+$/, "");
  const at = trimmed.lastIndexOf("/");
  if (at < 0) return ".";
  return at === 0 ? "/" : trimmed.slice(0, at);
};

export const planCopy = (source: CopySource, target: CopyTarget): CopyPlan => {
  const from = baseOf(source.path);
  if (target.exists && target.isFolder) return { folder: target.path, from, to: from };
  if (target.exists && source.isFolder) {
    throw new NaruError(
      "conflict",
      `cannot copy directory "${source.path}" over the file "${target.path}"`,
    );
  }
  if (!target.exists && !source.isFolder && target.path.endsWith("/")) {
    throw new NaruError(
      "not_found",
      `no such directory: "${target.path}"; create it first, or leave out the slash at the end`,
    );
  }
  return { folder: parentOf(target.path), from, to: baseOf(target.path) };
};

/** "CONTAINER:PATH"; local paths with a colon start with "/" or ".". */
export const splitCopyArgument = (
  argument: string,
): { readonly container: string | undefined; readonly path: string } => {
  const colon = argument.indexOf(":");
  if (argument.startsWith("/") || argument.startsWith(".") || colon <= 0) {
    return { container: undefined, path: argument };
  }
  return { container: argument.slice(0, colon), path: argument.slice(colon + 1) };
};

/** sed-like rule for tar's --transform; S keeps the targets of symbolic links as they are. */
export const transformRule = ({ from, to }: CopyPlan): string | undefined => {
  if (from === to) return undefined;
  // The archive of the root names its members "/", "/bin" …
  if (from === "/") return `s|^/*|${to.replaceAll(/[\\&|]/g, String.raw`\$&`)}/|S`;
  const pattern = from.replaceAll(/[.[\]*^$\\|/]/g, String.raw`\$&`);
  const replacement = to.replaceAll(/[\\&|]/g, String.raw`\$&`);
  return `s|^${pattern}\\(/\\|$\\)|${replacement}\\1|S`;
};
