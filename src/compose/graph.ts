/** Runs a graph of operations: each when what it needs is done, as many at once as allowed. */
import { NaruError } from "#lib/errors.ts";

export interface GraphNode {
  readonly id: string;
  readonly needs: readonly string[];
}

/**
 * The first failure stops what has not begun; what runs is waited for. Needs that are not in the
 * graph count as done. Rejects with that failure, or with `internal` when operations wait for each
 * other.
 */
export const runGraph = async <T extends GraphNode>(
  nodes: readonly T[],
  limit: number,
  run: (node: T) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> => {
  const ids = new Set(nodes.map((node) => node.id));
  const waiting = new Map<T, number>();
  const dependents = new Map<string, T[]>();
  const ready: T[] = [];
  for (const node of nodes) {
    const needs = new Set(node.needs.filter((id) => ids.has(id) && id !== node.id));
    if (needs.size === 0) ready.push(node);
    else waiting.set(node, needs.size);
    for (const id of needs) dependents.set(id, [...(dependents.get(id) ?? []), node]);
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  let running = 0;
  let failure: unknown;
  const finished = (node: T): void => {
    for (const next of dependents.get(node.id) ?? []) {
      const left = (waiting.get(next) ?? 1) - 1;
      if (left > 0) waiting.set(next, left);
      else {
        waiting.delete(next);
        ready.push(next);
      }
    }
  };
  const pump = (): void => {
    while (failure === undefined && signal?.aborted !== true && running < limit) {
      const node = ready.shift();
      if (node === undefined) break;
      running += 1;
      run(node)
        .then(
          () => finished(node),
          (error: unknown) => {
            failure ??= error;
          },
        )
        .finally(() => {
          running -= 1;
          pump();
        })
        .catch(() => undefined);
    }
    if (running === 0) resolve();
  };
  pump();
  await promise;
  if (failure !== undefined) throw failure;
  signal?.throwIfAborted();
  if (waiting.size > 0) {
    const names = [...waiting.keys()].map((node) => node.id).join(", ");
    throw new NaruError("internal", `operations wait for each other: ${names}`);
  }
};
