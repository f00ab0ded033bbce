import { defineCommand, ONE } from "#cli/framework/command.ts";
import { text } from "#cli/framework/flags.ts";
import { evaluate } from "#cli/template/evaluate.ts";
import { parseTemplate } from "#cli/template/parser.ts";
import { decide } from "#cli/why/decide.ts";
import type { Verdict } from "#cli/why/facts.ts";
import { gatherFacts } from "#cli/why/gather.ts";

const bullets = (title: string, lines: readonly string[]): string =>
  lines.length === 0 ? "" : `\n${title}:\n${lines.map((line) => `  - ${line}\n`).join("")}`;

export const formatVerdict = (verdict: Verdict): string =>
  `${verdict.summary}\n${bullets("Evidence", verdict.evidence)}${bullets("Next step", verdict.nextSteps)}`;

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER",
  description:
    "Reads the container's state, health, log and ports, and gives one verdict with its evidence and " +
    "the next step. The exit code is 0 in any case that could be judged.",
  flags: { format: text('Format output: "json" or a Go template') },
  args: ONE,
  completes: "containers",
  run: async ({ context, flags, args }) => {
    const [id = ""] = args;
    const client = await context.client();
    const { address } = await context.host();
    const engineHost = address.kind === "unix" ? undefined : address.hostname;
    const verdict = decide(await gatherFacts(client, id, engineHost));
    if (flags.format === undefined) context.output.print(formatVerdict(verdict));
    else if (flags.format === "json") context.output.line(JSON.stringify(verdict));
    else context.output.line(evaluate(parseTemplate(flags.format), verdict));
    return 0;
  },
});
