/** How many bytes went by, on standard error while it is a terminal. */
import { humanSize } from "#cli/format/units.ts";
import type { CliContext } from "#cli/context.ts";

const STEP_BYTES = 4 * 1024 * 1024;

/** Passes `chunks` on. `verb` begins the line: "Backing up data". */
export async function* withByteProgress(
  context: CliContext,
  verb: string,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  const isShown = await context.output.isTerminal("stderr");
  let total = 0;
  let shown = 0;
  for await (const chunk of chunks) {
    total += chunk.length;
    if (isShown && total - shown >= STEP_BYTES) {
      shown = total;
      await context.output.write("stderr", `\r\u001b[K${verb}: ${humanSize(total)}`);
    }
    yield chunk;
  }
  if (isShown && shown > 0) await context.output.write("stderr", "\r\u001b[K");
}
