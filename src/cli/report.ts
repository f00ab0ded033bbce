/** Errors as people read them: what happened, and what to do next. */
import type { CliContext } from "#cli/context.ts";
import { BROKEN_PIPE_EXIT_CODE } from "#cli/output.ts";
import { exitCodeOf, isUsageError } from "#cli/framework/errors.ts";
import { isAnswer } from "#client/errors.ts";
import { toNaruError } from "#lib/errors.ts";

/** One line for an error, as docker words it: what the engine answered is marked as such. */
export const errorText = (error: unknown): string => {
  const { message } = toNaruError(error);
  return isAnswer(error) ? `Error response from daemon: ${message}` : message;
};

const causes = (error: unknown): string[] => {
  const lines: string[] = [];
  let cause = error instanceof Error ? error.cause : undefined;
  while (cause !== undefined && cause !== null) {
    lines.push(
      `caused by: ${cause instanceof Error ? (cause.stack ?? cause.message) : JSON.stringify(cause)}`,
    );
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return lines;
};

/** `usage` is the command's own usage line, when a command was found. */
export const reportError = async (
  context: CliContext,
  error: unknown,
  usage: string | undefined,
): Promise<void> => {
  const { output } = context;
  if (exitCodeOf(error) === BROKEN_PIPE_EXIT_CODE) return;
  const text = errorText(error);
  if (isUsageError(error)) {
    const isCounted = /^('naru|unknown command)/.test(text);
    const usageLine = usage === undefined ? "" : `\n\nUsage:  ${usage}`;
    output.error(`${isCounted ? "naru: " : ""}${text}${usageLine}`);
    output.error(`\nRun '${context.commandPath} --help' for more information`);
  } else if (text !== "") {
    output.error(text);
  }
  if (context.isDebug) for (const line of causes(error)) output.error(line);
  try {
    await output.flush();
  } catch {
    // Standard error is gone: there is nobody left to tell.
  }
};
