/** One compose file as a checked tree in canonical form; nothing of other files yet. */
import type { Variables } from "#spec/compose/interpolate.ts";
import { interpolate } from "#spec/compose/interpolate.ts";
import type { Node } from "#spec/compose/node.ts";
import { describePlace, placedError } from "#spec/compose/node.ts";
import { projectShape } from "#spec/compose/schema/project.ts";
import type { Reading } from "#spec/compose/shape.ts";

export interface Problem {
  readonly node: Node;
  readonly message: string;
}

const MAX_SHOWN = 10;

/** One error for all problems of a file, in the order of its lines. */
export const problemsError = (problems: readonly Problem[]): Error => {
  const sorted = problems.toSorted((a, b) => a.node.place.line - b.node.place.line);
  const [first, ...others] = sorted;
  if (first === undefined) throw new Error("invariant: there is a problem to tell");
  const lines = others
    .slice(0, MAX_SHOWN - 1)
    .map(({ node, message }) => `${describePlace(node.place)}: ${message}`);
  const left = others.length - lines.length;
  if (left > 0) lines.push(`and ${String(left)} more`);
  return placedError(first.node.place, [first.message, ...lines].join("\n"));
};

export interface ReadFileOptions {
  /** The documents of the file as they are written. */
  readonly trees: readonly Node[];
  /** What relative paths stand for; undefined: they stay as they are. */
  readonly folder: string | undefined;
  readonly home: string | undefined;
  /** Undefined leaves variables as they are. */
  readonly variables: Variables | undefined;
}

/** The documents of the file, canonical. Throws with every problem found. */
export const readComposeFile = (options: ReadFileOptions): Node[] => {
  const problems: Problem[] = [];
  const reading: Reading = {
    folder: options.folder,
    home: options.home,
    hasVariables: options.variables === undefined,
    problem: (node, path, message) => {
      problems.push({ node, message: path === "" ? message : `${path}: ${message}` });
    },
  };
  const documents = options.trees.map((tree) => {
    if (tree.kind !== "map") {
      throw placedError(tree.place, "the file must be a mapping with services");
    }
    const { variables } = options;
    const filled = variables === undefined ? tree : interpolate(tree, variables);
    return projectShape.read(filled, "", reading);
  });
  if (problems.length > 0) throw problemsError(problems);
  return documents;
};
