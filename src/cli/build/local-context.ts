/** Which directory is packed, with which Dockerfile and which .dockerignore. */
import { isDirectory } from "#cli/quick-files.ts";
import { readIfThere } from "#cli/read-file.ts";
import type { PackedDirectory } from "#cli/build/context-tar.ts";
import { NaruError } from "#lib/errors.ts";
import { dockerignoreNames } from "#spec/dockerfile/dockerignore.ts";

export interface LoadedContext {
  readonly dockerfile: Buffer;
  /** undefined: nothing but the Dockerfile. */
  readonly directory: PackedDirectory | undefined;
}

const readStdin = async (): Promise<Buffer> => Buffer.from(await Bun.stdin.bytes());

/** The text of the .dockerignore that counts. */
export const ignoreOf = async (dockerfile: string, root: string): Promise<string> => {
  const [own, common] = dockerignoreNames(dockerfile);
  const found = (await readIfThere(own)) ?? (await readIfThere(`${root}/${common}`));
  return found?.toString("utf8") ?? "";
};

const readDockerfile = async (root: string, given: string | undefined): Promise<Buffer> => {
  if (given === "-") return await readStdin();
  const path = given ?? `${root}/Dockerfile`;
  const found =
    (await readIfThere(path)) ??
    (given === undefined ? await readIfThere(`${root}/dockerfile`) : undefined);
  if (found !== undefined) return found;
  throw new NaruError("not_found", `there is no Dockerfile at "${path}": name one with --file`);
};

/** `path` "-" takes the Dockerfile from standard input and sends nothing else. */
export const loadContext = async (
  path: string,
  file: string | undefined,
): Promise<LoadedContext> => {
  if (path === "-") return { dockerfile: await readStdin(), directory: undefined };
  if (/^(https?|git|ssh):\/\//.test(path) || path.startsWith("git@")) {
    throw new NaruError(
      "not_implemented",
      `remote context "${path}" is not supported by naru build: clone it, or use docker build`,
    );
  }
  if (!isDirectory(path)) {
    throw new NaruError(
      "not_found",
      `unable to prepare context: path "${path}" not found or no directory`,
    );
  }
  const dockerfile = await readDockerfile(path, file);
  const named = file === undefined || file === "-" ? `${path}/Dockerfile` : file;
  const ignore = await ignoreOf(named, path);
  return { dockerfile, directory: { root: path, prefix: "context/", ignore } };
};
