/** Files that users name: devices and pipes (`/dev/null`, `<(…)`) are files like any other. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EISDIR: "is a directory",
};

/** Undefined when there is no such file. Throws what kept it from being read, in docker's words. */
export const readIfThere = async (path: string): Promise<Buffer | undefined> => {
  const { isAbsent, quickRead } = await import("#kernel/quick-files.ts");
  // At once where nothing has to be waited for.
  const known = quickRead(path);
  if (known !== undefined) return known;
  if (isAbsent(path)) return undefined;
  const { readFile } = await import("node:fs/promises");
  try {
    return await readFile(path);
  } catch (cause) {
    const code = String(Reflect.get(Object(cause), "code"));
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    const reason = REASONS[code] ?? (cause instanceof Error ? cause.message : String(cause));
    throw new Error(`${code === "EISDIR" ? "read" : "open"} ${path}: ${reason}`, { cause });
  }
};

/** As `readIfThere`, and throws when there is none. */
export const readGiven = async (path: string): Promise<Buffer> => {
  const bytes = await readIfThere(path);
  if (bytes === undefined) throw new Error(`open ${path}: no such file or directory`);
  return bytes;
};
