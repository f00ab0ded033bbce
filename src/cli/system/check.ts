import { jsonLines } from "#client/progress.ts";
import { defineCommand, NONE } from "#cli/framework/command.ts";
import { exitError } from "#cli/framework/errors.ts";
import { bool } from "#cli/framework/flags.ts";
import type { CheckLine } from "#client/system-types.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: {
    repair: bool("Put right what can be: unpack again, fetch again, remove damaged blobs"),
  },
  args: NONE,
  run: async ({ context, flags }) => {
    const { output } = context;
    const client = await context.client();
    const response = await client.call("systemCheck", { query: { repair: flags.repair } });
    const isShown = await output.isTerminal("stderr");
    for await (const line of jsonLines<CheckLine>(response.body)) {
      if (isShown) await output.write("stderr", "\r\u001b[K");
      if ("errorDetail" in line) throw exitError(1, line.errorDetail.message);
      if (line.kind === "progress" && isShown) {
        await output.write("stderr", `Checking ${line.subject} ${line.id.slice(0, 60)}`);
      } else if (line.kind === "problem") {
        output.line(`${line.subject} ${line.id}: ${line.problem} (${line.outcome})`);
      } else if (line.kind === "end") {
        output.line(`Checked ${line.checked}: ${line.problems} problems, ${line.left} left`);
        return line.left === 0 ? 0 : 1;
      }
    }
    throw exitError(1, "the engine ended before the check did");
  },
});
