/** WORKDIR makes its directory. */
import { mkdirSync, rmSync } from "node:fs";
import { posix } from "node:path";
import type { BuildDependencies } from "#build/dependencies.ts";
import { linkedTarget } from "#build/op/copy.ts";
import { runCopyPlan } from "#build/op/copy-tree.ts";
import { onSnapshot } from "#build/op/on-snapshot.ts";
import type { RunContext, Vertex } from "#build/solver.ts";
import { hasCode } from "#lib/errors.ts";
import type { Digest } from "#spec/image/digest.ts";

/** As BuildKit has it: a user that nobody knows is root; it matters to a RUN, which refuses it. */
const ownerIn = (
  { configs }: BuildDependencies,
  rootfs: string,
  user: string,
): { uid: number; gid: number } => {
  if (user === "") return { uid: 0, gid: 0 };
  try {
    return configs.userOf(rootfs, user);
  } catch (error) {
    if (hasCode(error, "invalid_argument")) return { uid: 0, gid: 0 };
    throw error;
  }
};

/** `path` is absolute; it belongs to `user` ("" = root) by the files of the tree below. */
export const workdirVertex = (
  dependencies: BuildDependencies,
  path: string,
  user: string,
  parent: Digest | undefined,
): Vertex => ({
  description: `WORKDIR ${path}`,
  definition: { op: "workdir", path, ...(user === "" ? {} : { user }) },
  parent,
  inputs: {},
  run: (context: RunContext) =>
    onSnapshot(dependencies, context, parent, async (rootfs) => {
      // An empty directory's content, copied there, leaves the directory alone where it exists.
      const empty = `${dependencies.paths.work}/empty-${context.id}`;
      mkdirSync(empty, { mode: 0o700 });
      try {
        const item = {
          root: empty,
          path: "",
          target: linkedTarget(dependencies.kernel, rootfs, posix.resolve(path)),
          isUnpacked: false,
          ignored: [],
        };
        const owner = ownerIn(dependencies, rootfs, user);
        await runCopyPlan(dependencies.kernel, { targetRoot: rootfs, items: [item], owner });
      } finally {
        rmSync(empty, { recursive: true, force: true });
      }
      return [];
    }),
});
