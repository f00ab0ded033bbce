/** The op file: changes of a tree one after the other, made on one snapshot as far as they stand on each other. */
import { copyFiles } from "#build/llb/file-copy.ts";
import { makeDirectory, makeFile, makeSymlink, removePath } from "#build/llb/file-action.ts";
import {
  type LlbOutput,
  type LlbRun,
  type LlbTree,
  layersInput,
  solveVertex,
} from "#build/llb/run.ts";
import { runPlan } from "#build/op/copy.ts";
import type { Owner } from "#build/op/copy-plan.ts";
import { onSnapshot } from "#build/op/on-snapshot.ts";
import type { RunContext } from "#build/solver.ts";
import { NaruError } from "#lib/errors.ts";
import type { FileAction, FileOp, FileOwner, OwnerName } from "#spec/buildkit/llb.gen.ts";
import type { LlbVertex } from "#spec/buildkit/llb.ts";

/** An action with the trees that it reads: of its copy, and of the names in its owner. */
interface Prepared {
  readonly action: FileAction;
  readonly copyFrom: LlbTree;
  /** By place in the op's inputs. */
  readonly names: ReadonlyMap<number, LlbTree>;
}

const ownerIn = ({ action }: FileAction): FileOwner | undefined =>
  action.case === undefined || action.case === "rm" ? undefined : action.value.owner;

const namesIn = (owner: FileOwner | undefined): number[] =>
  [owner?.user, owner?.group].flatMap((one) =>
    one?.name.case === "byName" && one.name.value.input >= 0n ? [Number(one.name.value.input)] : [],
  );

const idOf = (
  run: LlbRun,
  { names }: Prepared,
  owner: OwnerName | undefined,
  isGroup: boolean,
): number => {
  if (owner?.name.case === "byId") return owner.name.value;
  if (owner?.name.case !== "byName") return 0;
  const { name, input } = owner.name.value;
  const tree = run.trees.tree(names.get(Number(input)), "the names of owners");
  const spec = isGroup ? `0:${name}` : name;
  const { uid, gid } = run.dependencies.configs.userOf(tree.root, spec);
  return isGroup ? gid : uid;
};

const ownerOf = (run: LlbRun, prepared: Prepared): Owner | undefined => {
  const owner = ownerIn(prepared.action);
  if (owner === undefined) return undefined;
  return {
    uid: idOf(run, prepared, owner.user, false),
    gid: idOf(run, prepared, owner.group, true),
  };
};

const seconds = (timestamp: bigint): number | undefined =>
  timestamp < 0n ? undefined : Number(timestamp / 1_000_000_000n);

const perform = async (
  run: LlbRun,
  rootfs: string,
  prepared: Prepared,
  context: RunContext,
): Promise<void> => {
  const { kernel } = run.dependencies;
  const { action } = prepared.action;
  const given = ownerOf(run, prepared);
  const owner = given ?? { uid: 0, gid: 0 };
  switch (action.case) {
    case "copy": {
      const from = run.trees.tree(prepared.copyFrom, "what is copied from").root;
      return await copyFiles(kernel, from, rootfs, action.value, given, (plan, size) =>
        runPlan(run.dependencies, plan, size, context),
      );
    }
    case "mkfile": {
      const { path, data, mode, timestamp } = action.value;
      const look = { owner, mode: mode & 0o7777, mtimeSeconds: seconds(timestamp) };
      return makeFile(kernel, rootfs, path, data, look);
    }
    case "mkdir": {
      const { path, makeParents, mode, timestamp } = action.value;
      const look = { owner, mode: mode & 0o7777, mtimeSeconds: seconds(timestamp) };
      return makeDirectory(kernel, rootfs, path, makeParents, look);
    }
    case "rm": {
      const { path, allowNotFound: mayBeMissing, allowWildcard: hasWildcards } = action.value;
      return removePath(kernel, rootfs, path, { mayBeMissing, hasWildcards });
    }
    case "symlink": {
      const { oldpath, newpath, timestamp } = action.value;
      const look = { owner, mtimeSeconds: seconds(timestamp) };
      return makeSymlink(kernel, rootfs, oldpath, newpath, look);
    }
    case undefined:
      throw new NaruError("not_implemented", "a file action of an unknown kind is not supported");
  }
};

/** As plain JSON, for the key. */
const definitionOf = ({ action: { action } }: Prepared): object => ({
  action: action.case,
  value: JSON.stringify(action.value ?? {}, (_key, value: unknown) => {
    if (typeof value === "bigint") return String(value);
    return value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value;
  }),
});

/** Actions count on after the op's inputs: the output of the first is `vertex.inputs.length`. */
class FileSolver {
  readonly #run: LlbRun;
  readonly #vertex: LlbVertex;
  readonly #actions: readonly FileAction[];

  constructor(run: LlbRun, vertex: LlbVertex, op: FileOp) {
    this.#run = run;
    this.#vertex = vertex;
    this.#actions = op.actions;
  }

  /** The tree at a place: an input of the op, or what an action gave. */
  async #treeAt(place: number, before: number): Promise<LlbTree> {
    const inputs = this.#vertex.inputs.length;
    if (place < 0) return undefined;
    if (place < inputs) return await this.#run.inputOf(this.#vertex, place);
    if (place - inputs >= before) {
      const reason = `"${this.#vertex.name}": an action reads one that comes after it`;
      throw new NaruError("invalid_argument", reason);
    }
    return (await this.solve(place - inputs)).tree;
  }

  async #prepare(position: number): Promise<Prepared> {
    const action = this.#actions[position];
    if (action === undefined) {
      throw new NaruError("invalid_argument", `"${this.#vertex.name}" has no action ${position}`);
    }
    const names = new Map<number, LlbTree>();
    for (const place of namesIn(ownerIn(action))) {
      names.set(place, await this.#treeAt(place, position));
    }
    const isCopy = action.action.case === "copy";
    const place = isCopy ? Number(action.secondaryInput) : -1;
    return { action, copyFrom: await this.#treeAt(place, position), names };
  }

  /** What the action at `position` gives, with those before it that it alone stands on. */
  async solve(position: number): Promise<LlbOutput> {
    const inputs = this.#vertex.inputs.length;
    const chain: Prepared[] = [];
    let at = position;
    let place: number;
    for (;;) {
      const prepared = await this.#prepare(at);
      chain.unshift(prepared);
      place = Number(prepared.action.input);
      if (place < inputs) break;
      if (place - inputs >= at) {
        throw new NaruError("invalid_argument", `"${this.#vertex.name}" goes in a circle`);
      }
      at = place - inputs;
    }
    const parent = await this.#treeAt(place, 0);
    const run = this.#run;
    const reads = chain.flatMap(({ copyFrom, names }, index) => [
      [`what action ${index + 1} copies`, layersInput(copyFrom)] as const,
      ...[...names].map(
        ([input, tree]) => [`names ${input} of action ${index + 1}`, layersInput(tree)] as const,
      ),
    ]);
    return await solveVertex(run, this.#vertex, {
      description: this.#vertex.name,
      definition: { op: "llb.file", actions: chain.map(definitionOf) },
      parent,
      inputs: Object.fromEntries(reads),
      run: (context) =>
        onSnapshot(run.dependencies, context, parent, async (rootfs) => {
          for (const prepared of chain) await perform(run, rootfs, prepared, context);
          return [];
        }),
    });
  }
}

export const solveFile = async (
  run: LlbRun,
  vertex: LlbVertex,
  op: FileOp,
  index: number,
): Promise<LlbOutput> => {
  const position = op.actions.findIndex(({ output }) => Number(output) === index);
  return await new FileSolver(run, vertex, op).solve(position);
};
