/** From names in archives to paths that are safe to resolve inside a root. */
import { NaruError } from "#lib/errors.ts";

/** PATH_MAX: no program could open a longer one. */
const MAX_PATH_LENGTH = 4096;

const refuse = (name: string, reason: string): never => {
  throw new NaruError("invalid_argument", `tar entry "${name.slice(0, 256)}" ${reason}`, {
    details: { entry: name.slice(0, 256) },
  });
};

/**
 * Relative, without "." components, doubled or closing slashes; "" is the root. A leading slash is
 * dropped, as Docker does; ".." is refused, wherever it would lead.
 */
export const entryPath = (name: string, what = name): string => {
  if (name.length > MAX_PATH_LENGTH)
    refuse(what, `has a path longer than ${MAX_PATH_LENGTH} bytes`);
  if (name.includes("\0")) refuse(what, "has a NUL in its path");
  const isSimple = !/^[./]|\/[./]|\/$/.test(name);
  if (isSimple) return name;
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) refuse(what, `leads out of the archive by ".." in "${name}"`);
  return parts.join("/");
};
