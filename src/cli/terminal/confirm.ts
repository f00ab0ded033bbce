/** "Are you sure?", asked on a terminal; without one the answer is no. */
import type { CliContext } from "#cli/context.ts";
import { isInputTerminal, pipedInput } from "#cli/terminal/stdin.ts";

/** True for y and yes. */
export const confirm = async (context: CliContext, warning: string): Promise<boolean> => {
  await context.output.write(
    "stdout",
    `WARNING! ${warning}\nAre you sure you want to continue? [y/N] `,
  );
  let line = "";
  for await (const chunk of pipedInput()) {
    line += Buffer.from(chunk).toString("utf8");
    if (line.includes("\n")) break;
  }
  if (!(await isInputTerminal())) context.output.line("");
  return /^\s*y(es)?\s*$/i.test(line.split("\n")[0] ?? "");
};
