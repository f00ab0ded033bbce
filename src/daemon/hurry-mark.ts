/**
 * A mark that this daemon hurries the kernel now and then, for some ten microseconds (kernel/cgroup-moves.ts). Who is
 * killed in the midst of one leaves the host's switch as it is then; who finds the mark puts it back.
 */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { endHurry } from "#kernel/cgroup-moves.ts";

const markOf = (execRoot: string): string => `${execRoot}/hurries`;

/** Puts back what a daemon left that was killed. */
export const endLeftHurry = (execRoot: string): void => {
  const mark = markOf(execRoot);
  if (!existsSync(mark)) return;
  endHurry();
  rmSync(mark, { force: true });
};

export interface HurryMark extends Disposable {
  /** To be called before each hurry; the first one makes the mark. Disposing removes it. */
  make(): void;
}

export const hurryMark = (execRoot: string): HurryMark => {
  endLeftHurry(execRoot);
  let isMade = false;
  return {
    make: () => {
      if (!isMade) writeFileSync(markOf(execRoot), "");
      isMade = true;
    },
    [Symbol.dispose]: () => rmSync(markOf(execRoot), { force: true }),
  };
};
