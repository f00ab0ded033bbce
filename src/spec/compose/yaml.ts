/** The text of a compose file as trees. */
import type { Node } from "#spec/compose/node.ts";
import { quickYaml } from "#spec/compose/quick-yaml.ts";

let library: ((file: string, text: string) => Node[]) | undefined;

/** Thrown by `parseYaml` for what the library alone reads: call `loadYamlLibrary`, and try again. */
export class YamlLibraryWanted extends Error {
  constructor() {
    super("this file is read by the YAML library, which is not loaded");
  }
}

/** Few files need it, and it takes a tenth of the time of a command that has nothing to do. */
export const loadYamlLibrary = async (): Promise<void> => {
  library ??= (await import("#spec/compose/library-yaml.ts")).parseByLibrary;
};

/** Every document of a file; empty ones are left out. Throws with file and line. */
export const parseYaml = (file: string, text: string): Node[] => {
  const quick = quickYaml(file, text);
  if (quick !== undefined) return [quick];
  if (library === undefined) throw new YamlLibraryWanted();
  return library(file, text);
};
