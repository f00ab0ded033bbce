/** The files of a project on this machine. */
import type { CliContext } from "#cli/context.ts";
import { fetchGitFile } from "#cli/compose/git-files.ts";
import { isDirectory } from "#cli/quick-files.ts";
import { isAbsent, quickRead } from "#kernel/quick-files.ts";
import { lateFs } from "#lib/late-builtins.ts";
import { STDIN } from "#spec/compose/inputs.ts";
import type { ProjectSource } from "#spec/compose/project.ts";
import { YamlLibraryWanted, loadYamlLibrary } from "#spec/compose/yaml.ts";

type Environment = Readonly<Record<string, string | undefined>>;

let stdin: string | undefined;

const readText = (path: string): string | undefined => {
  const known = quickRead(path);
  if (known !== undefined) return known.toString("utf8");
  if (isAbsent(path)) {
    if (!path.endsWith(`/${STDIN}`)) return undefined;
    return (stdin ??= lateFs().readFileSync(0, "utf8"));
  }
  // A pipe keeps one waiting, and what cannot be read is told why.
  return isDirectory(path) ? undefined : lateFs().readFileSync(path, "utf8");
};

const artifacts = new Map<string, string>();

/** Thrown where a file is wanted that only waiting can bring; `whenThere` does. */
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

/** Reads a project, and again when what only waiting brings has come: an artifact that it names, the YAML library. */
export const whenThere = async <T>(context: CliContext, read: () => T | Promise<T>): Promise<T> => {
  for (;;) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- one names the next
      return await read();
    } catch (error) {
      if (error instanceof YamlLibraryWanted) {
        // oxlint-disable-next-line no-await-in-loop -- once
        await loadYamlLibrary();
        continue;
      }
      if (!(error instanceof ArtifactWanted)) throw error;
      const { address } = error;
      // oxlint-disable-next-line no-await-in-loop -- one names the next
      const { fetchArtifact } = await import("#cli/compose/artifacts.ts");
      // oxlint-disable-next-line no-await-in-loop -- one names the next
      artifacts.set(address, await fetchArtifact(context, address));
    }
  }
};

export const openSource = (environment: Environment): ProjectSource => ({
  read: readText,
  fetch: (address) => fetchNow(address, environment),
});
