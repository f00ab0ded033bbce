/** One call of a credential helper: its verb as argument, the request on stdin, the answer on stdout. */
import type { Environment } from "#cli/context.ts";
import { NaruError } from "#lib/errors.ts";

export type HelperVerb = "get" | "store" | "erase" | "list";

const TIMEOUT_MS = 60_000;
const NOTHING = /credentials not found|no credentials/i;

/** not_found when the helper has nothing; failed_precondition when it is not installed. */
export const askHelper = async (
  env: Environment,
  helper: string,
  verb: HelperVerb,
  input: string,
): Promise<string> => {
  const program = `docker-credential-${helper}`;
  const found = Bun.which(program, { PATH: env["PATH"] ?? "" });
  if (/[/\s]/.test(helper) || found === null) {
    throw new NaruError(
      "failed_precondition",
      `"${program}" is not on the PATH: install it, or take "${helper}" out of credsStore and credHelpers in config.json`,
    );
  }
  const child = Bun.spawn([found, verb], {
    env: { ...env },
    stdin: new Blob([input]),
    stdout: "pipe",
    stderr: "pipe",
    timeout: TIMEOUT_MS,
  });
  const [text, complaint] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) === 0) return text;
  // The protocol tells failures on stdout, in words.
  const reason = text.trim() || complaint.trim() || "it said nothing";
  if (NOTHING.test(reason)) {
    throw new NaruError("not_found", `"${program}" has nothing for "${input.trim()}"`);
  }
  throw new NaruError("unauthenticated", `"${program} ${verb}" failed: ${reason}`);
};
