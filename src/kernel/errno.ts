/** errno(3): from number to name, from name to the project's error code. Used in this room alone. */
import { constants } from "node:os";
import { type ErrorCode, NaruError } from "#lib/errors.ts";

/** Short reasons for the numbers that callers meet; the others show their name alone. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EADDRINUSE: "the address is in use",
  EAGAIN: "not possible at this moment, try again",
  EBADF: "the descriptor is not open",
  EBUSY: "it is in use",
  ECONNREFUSED: "nobody listens there",
  EDQUOT: "the disk quota is used up",
  EEXIST: "it exists already",
  EFBIG: "the file would be too big",
  EINVAL: "the kernel does not take these arguments",
  EIO: "the device failed to read or write",
  EISDIR: "it is a directory",
  ELOOP: "there are too many symbolic links on the way",
  EMFILE: "this process has too many open files",
  EMLINK: "it has too many links",
  ENAMETOOLONG: "the name is too long",
  ENFILE: "the system has too many open files",
  ENODEV: "there is no such device or file system type",
  ENOENT: "it does not exist",
  ENOMEM: "there is not enough memory",
  ENOSPC: "there is no space left",
  ENOSYS: "this kernel has no such call",
  ENOTDIR: "a part of the path is not a directory",
  ENOTEMPTY: "the directory is not empty",
  EOPNOTSUPP: "this is not supported there",
  EPERM: "the operation is not permitted",
  EROFS: "the file system is read-only",
  ESRCH: "there is no such process",
  EXDEV: "the path leads to another file system",
};

const CODES: Readonly<Record<string, ErrorCode>> = {
  ENOENT: "not_found",
  EEXIST: "already_exists",
  EPERM: "permission_denied",
  EACCES: "permission_denied",
  EBUSY: "conflict",
  ENOTEMPTY: "conflict",
  ENOSPC: "resource_exhausted",
  EDQUOT: "resource_exhausted",
  EMFILE: "resource_exhausted",
  ENFILE: "resource_exhausted",
  EINVAL: "invalid_argument",
  ENAMETOOLONG: "invalid_argument",
  ELOOP: "invalid_argument",
  ENOSYS: "not_implemented",
  EOPNOTSUPP: "not_implemented",
};

/** Name to number on this machine's architecture. */
export const ERRNO: Readonly<Record<string, number>> = constants.errno;

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(ERRNO)
    // Two names share a number; the ones used in the manual pages of file calls win.
    .filter(([name]) => name !== "EWOULDBLOCK" && name !== "ENOTSUP")
    .map(([name, number]) => [number, name]),
);

export const errnoName = (errno: number): string => NAMES.get(errno) ?? `errno ${errno}`;

/**
 * The error for a failed call. `subject` is the path, interface or process the call was about;
 * `remedy` an extra clause that says what to do.
 */
export const errnoError = (
  call: string,
  errno: number,
  subject: string,
  options: { readonly remedy?: string; readonly cause?: unknown } = {},
): NaruError => {
  const name = errnoName(errno);
  const reason = REASONS[name];
  const why = reason === undefined ? name : `${reason} (${name})`;
  const remedy = options.remedy === undefined ? "" : `; ${options.remedy}`;
  return new NaruError(
    CODES[name] ?? "internal",
    `${call} failed for "${subject}": ${why}${remedy}`,
    {
      cause: options.cause,
      details: { errno: name, call, path: subject },
    },
  );
};

/** Throws what `errnoError` builds. */
export const throwErrno = (call: string, errno: number, subject: string): never => {
  throw errnoError(call, errno, subject);
};

/** Runs a node:fs call and gives its failure the form of this room. */
export const withErrno = <T>(call: string, subject: string, work: () => T): T => {
  try {
    return work();
  } catch (cause) {
    const errno: unknown = (cause as { errno?: unknown } | null)?.errno;
    if (typeof errno !== "number") throw cause;
    throw errnoError(call, Math.abs(errno), subject, { cause });
  }
};
