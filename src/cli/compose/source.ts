/** The files of a project on this machine. */
import type { CliContext } from "#cli/context.ts";
import { fetchGitFile } from "#cli/compose/git-files.ts";
import { lateFs } from "#lib/late-builtins.ts";
import { NAMES, OVERRIDES, STDIN } from "#spec/compose/inputs.ts";
import type { ProjectSource } from "#spec/compose/project.ts";

type Environment = Readonly<Record<string, string | undefined>>;

let stdin: string | undefined;

const readText = (path: string): string | undefined => {
  const { existsSync, readFileSync, statSync } = lateFs();
  if (path.endsWith(`/${STDIN}`) && !existsSync(path)) return (stdin ??= readFileSync(0, "utf8"));
  if (!existsSync(path) || statSync(path).isDirectory()) return undefined;
  return readFileSync(path, "utf8");
};

/** False: not to be had this way, and whoever asks for it in earnest is told why. */
const textOf = async (path: string): Promise<string | undefined | false> => {
  try {
    return await Bun.file(path).text();
  } catch (error) {
    return Reflect.get(Object(error), "code") === "ENOENT" ? undefined : false;
  }
};

const artifacts = new Map<string, string>();

/** Thrown where a file is wanted that only waiting can bring; `withArtifacts` does. */
class ArtifactWanted extends Error {
  readonly address: string;

  constructor(address: string) {
    super(address);
    this.address = address;
  }
}

const fetchNow = (address: string, environment: Environment): string | undefined => {
  if (!address.startsWith("oci://")) return fetchGitFile(address, environment);
  const known = artifacts.get(address);
  if (known !== undefined) return known;
  throw new ArtifactWanted(address);
};

/** Reads a project, and again when an artifact that it names has come. */
export const withArtifacts = async <T>(
  context: CliContext,
  read: () => T | Promise<T>,
): Promise<T> => {
  for (;;) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- one names the next
      return await read();
    } catch (error) {
      if (!(error instanceof ArtifactWanted)) throw error;
      const { address } = error;
      // oxlint-disable-next-line no-await-in-loop -- one names the next
      const { fetchArtifact } = await import("#cli/compose/artifacts.ts");
      // oxlint-disable-next-line no-await-in-loop -- one names the next
      artifacts.set(address, await fetchArtifact(context, address));
    }
  }
};

/** What most projects are made of is read ahead, at once. */
export const openSource = async (
  folder: string,
  environment: Environment,
): Promise<ProjectSource> => {
  const paths = [NAMES[0] ?? "", ...OVERRIDES, ".env"].map((name) => `${folder}/${name}`);
  const texts = await Promise.all(paths.map(textOf));
  const ahead = new Map(paths.map((path, at) => [path, texts[at]]));
  return {
    read: (path) => {
      const known = ahead.get(path);
      return ahead.has(path) && known !== false ? known : readText(path);
    },
    fetch: (address) => fetchNow(address, environment),
  };
};
