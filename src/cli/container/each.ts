/** The same call for several names at once: names that worked on stdout, in the order given. */
import type { CliContext } from "#cli/context.ts";
import { errorText } from "#cli/report.ts";

/** Requests under way at the same time. */
const LIMIT = 50;

/** What `operate` resolves to when nothing is printed for a name. */
export const NOTHING = Symbol("nothing to print");

/** `operate` resolves to what is printed for the name, its own name if it says nothing. */
export const forEachName = async (
  context: CliContext,
  names: readonly string[],
  operate: (name: string) => Promise<string | void | typeof NOTHING>,
): Promise<{ readonly exitCode: number; readonly failed: readonly string[] }> => {
  const failed: string[] = [];
  for (let start = 0; start < names.length; start += LIMIT) {
    const part = names.slice(start, start + LIMIT);
    const settled = await Promise.allSettled(part.map((name) => operate(name)));
    for (const [at, result] of settled.entries()) {
      const name = part[at] ?? "";
      if (result.status === "fulfilled") {
        if (result.value !== NOTHING) context.output.line(result.value ?? name);
      } else {
        failed.push(name);
        context.output.error(errorText(result.reason));
      }
    }
  }
  return { exitCode: failed.length === 0 ? 0 : 1, failed };
};
