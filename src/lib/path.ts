/** Paths as text, without node:path: loading that costs a command, and the engine's start, about a millisecond. */

/** As Go's filepath.Clean: without ".", "..", and double or last slashes. ".." of an absolute path ends at "/"; nothing at all is ".". */
export const cleanPath = (path: string): string => {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === ".." && parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (part !== ".." || !path.startsWith("/")) parts.push(part);
  }
  const joined = parts.join("/");
  return path.startsWith("/") ? `/${joined}` : joined === "" ? "." : joined;
};

/** `path` from the working folder, clean. */
export const absolutePath = (path: string): string =>
  cleanPath(path.startsWith("/") ? path : `${process.cwd()}/${path}`);
