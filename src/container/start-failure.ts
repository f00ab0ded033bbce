/** What the OCI runtime says of a failed start, in the words and exit codes Docker's users know. */
import { NaruError } from "#lib/errors.ts";
import type { ContainerRecord } from "#container/container.ts";

const PREFIX =
  "failed to create task for container: failed to create shim task: OCI runtime create failed: unable to start container process: ";

export interface StartFailure {
  readonly error: NaruError;
  /** 126 not executable, 127 not found, 128 anything else (daemon's containerStart). */
  readonly exitCode: number;
}

const execFailure = (
  text: string,
  name: string,
): { message: string; exitCode: number } | undefined => {
  const quoted = JSON.stringify(name);
  const isPath = name.includes("/");
  const isNothing = name === "" && /\bexec/i.test(text);
  if (
    isNothing ||
    (!isPath && /executable file .*not found in \$?PATH|executable file not found/i.test(text))
  ) {
    return {
      message: `exec: ${quoted}: executable file not found in $PATH: unknown`,
      exitCode: 127,
    };
  }
  const isMissing = /no such file or directory|executable file .*not found/i.test(text);
  const isExec = /\bexec|open executable|find_executable|executable/i.test(text);
  if (isExec && isMissing) {
    return {
      message: `exec: ${quoted}: stat ${name}: no such file or directory: unknown`,
      exitCode: 127,
    };
  }
  if (isExec && /permission denied|operation not permitted/i.test(text)) {
    return { message: `exec: ${quoted}: permission denied: unknown`, exitCode: 126 };
  }
  if (isExec && /is a directory/i.test(text)) {
    return { message: `exec: ${quoted}: is a directory: unknown`, exitCode: 126 };
  }
  if (isExec && /exec format error/i.test(text)) {
    return {
      message: `exec ${name}: exec format error: the file is for another platform or lacks "#!"`,
      exitCode: 126,
    };
  }
  return undefined;
};

/** The runtime's own error lines, without time stamps and level. */
const bare = (text: string): string =>
  text
    .split("\n")
    .map((line) => line.replace(/^\S*T\S*Z?: /, "").replace(/^time=\S+ level=\S+ msg=/, ""))
    .filter((line) => line !== "")
    .join("; ");

export const explainStartFailure = (error: NaruError, record: ContainerRecord): StartFailure => {
  if (error.code !== "failed_precondition") return { error, exitCode: 128 };
  const known = execFailure(error.message, record.path);
  if (known !== undefined) {
    const message = PREFIX + known.message;
    return {
      error: new NaruError("invalid_argument", message, { cause: error }),
      exitCode: known.exitCode,
    };
  }
  const message = `${PREFIX}${bare(error.message)}: unknown`;
  return { error: new NaruError("internal", message, { cause: error }), exitCode: 128 };
};

/** A working directory, for one. */
const MISSING = /no such file or directory/i;

const EXEC_PREFIX = "OCI runtime exec failed: exec failed: unable to start container process: ";

export const explainExecFailure = (error: NaruError, name: string): StartFailure => {
  if (error.code !== "failed_precondition") return { error, exitCode: 126 };
  const known = execFailure(error.message, name);
  const message = EXEC_PREFIX + (known?.message ?? `${bare(error.message)}: unknown`);
  return {
    error: new NaruError("invalid_argument", message, { cause: error }),
    exitCode: known?.exitCode ?? (MISSING.test(error.message) ? 127 : 126),
  };
};
