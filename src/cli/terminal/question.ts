/** Questions on a terminal: a line, or a secret that is not shown. */
import type { CliContext } from "#cli/context.ts";
import { pipedInput, rawInput } from "#cli/terminal/stdin.ts";
import { NaruError } from "#lib/errors.ts";

export const readLine = async (context: CliContext, question: string): Promise<string> => {
  await context.output.write("stdout", question);
  let line = "";
  for await (const chunk of pipedInput()) {
    line += Buffer.from(chunk).toString("utf8");
    if (line.includes("\n")) break;
  }
  return (line.split("\n")[0] ?? "").trim();
};

const INTERRUPT = "\u0003";
const END = "\u0004";
const ERASE = ["\u007F", "\b"];

export const readSecret = async (context: CliContext, question: string): Promise<string> => {
  await context.output.write("stdout", question);
  const input = await rawInput();
  let secret = "";
  try {
    for await (const chunk of input.keys) {
      for (const key of Buffer.from(chunk).toString("utf8")) {
        if (key === "\r" || key === "\n" || key === END) return secret;
        if (key === INTERRUPT) throw new NaruError("canceled", "interrupted");
        if (ERASE.includes(key)) secret = secret.slice(0, -1);
        else secret += key;
      }
    }
    return secret;
  } finally {
    input.restore();
    await context.output.write("stdout", "\n");
  }
};
