/** The trash, loaded when something is in it or somebody asks. */
import type { Trash } from "#gc/trash.ts";
import type { Logger } from "#lib/log.ts";
import type { TrashRows, TrashSource } from "#metadata/trash.ts";

const SWEEP_MS = 60_000;

export interface LazyTrash {
  trash(): Promise<Trash>;
  /** From now on what is over its time goes. The returned function ends it. */
  startSweeps(): () => void;
}

export const lazyTrash = (
  rows: TrashRows,
  sources: () => readonly TrashSource[],
  collect: () => Promise<unknown>,
  undoTimeMs: number,
  log: Logger,
): LazyTrash => {
  let made: Promise<Trash> | undefined;
  const trash = (): Promise<Trash> =>
    (made ??= import("#gc/trash.ts").then(
      (module) => new module.Trash({ rows, sources: sources(), collect, undoTimeMs, log }),
    ));
  const sweep = async (): Promise<void> => {
    if (rows.all().length === 0) return;
    try {
      const { count, sizeBytes } = await (await trash()).sweep();
      if (count > 0)
        log.info("removed for good what can no longer be undone", { count, sizeBytes });
    } catch (error) {
      log.error("could not empty the trash", { error: String(error) });
    }
  };
  return {
    trash,
    startSweeps: () => {
      void sweep();
      const timer = setInterval(() => void sweep(), SWEEP_MS);
      timer.unref();
      return () => clearInterval(timer);
    },
  };
};
