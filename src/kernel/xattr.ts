/** setxattr(2), getxattr(2), listxattr(2) in the forms that do not follow a symlink. */
import { ERRNO, throwErrno } from "#kernel/errno.ts";
import { checked, lastErrno, libc } from "#kernel/libc.ts";
import { cString, decodeName } from "#kernel/name-bytes.ts";

export const setXattr = (path: string, name: string, value: Uint8Array): void => {
  // FFI has no address for an empty array; the kernel reads nothing when the length is 0.
  const data = value.length === 0 ? null : value;
  const result = libc().lsetxattr(cString(path), cString(name), data, value.length, 0);
  checked(result, "lsetxattr", path);
};

type Fill = (buffer: Uint8Array) => number | bigint;

/** Calls with a larger buffer until the value fits: it may grow between two calls. */
const readGrowing = (call: string, path: string, fill: Fill): Uint8Array | undefined => {
  for (let sizeBytes = 1024; ; sizeBytes *= 8) {
    const buffer = new Uint8Array(sizeBytes);
    const length = fill(buffer);
    if (length >= 0) return buffer.subarray(0, Number(length));
    const errno = lastErrno();
    if (errno === ERRNO["ENODATA"] || errno === ERRNO["EOPNOTSUPP"]) return undefined;
    if (errno !== ERRNO["ERANGE"] || sizeBytes > 1 << 20) throwErrno(call, errno, path);
  }
};

/** Undefined when the attribute is absent or the file system knows no attributes of that kind. */
export const getXattr = (path: string, name: string): Uint8Array | undefined => {
  const [cPath, cName] = [cString(path), cString(name)];
  return readGrowing("lgetxattr", path, (buffer) =>
    libc().lgetxattr(cPath, cName, buffer, buffer.length),
  );
};

export const listXattrs = (path: string): string[] => {
  const cPath = cString(path);
  const list = readGrowing("llistxattr", path, (buffer) =>
    libc().llistxattr(cPath, buffer, buffer.length),
  );
  return list === undefined || list.length === 0
    ? []
    : decodeName(list)
        .split("\0")
        .filter((name) => name !== "");
};
