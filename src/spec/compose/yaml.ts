/** The text of a compose file as trees. */
import { parseByLibrary } from "#spec/compose/library-yaml.ts";
import type { Node } from "#spec/compose/node.ts";
import { quickYaml } from "#spec/compose/quick-yaml.ts";

/** Every document of a file; empty ones are left out. Throws with file and line. */
export const parseYaml = (file: string, text: string): Node[] => {
  const quick = quickYaml(file, text);
  return quick === undefined ? parseByLibrary(file, text) : [quick];
};
