/** What a build tells of its Dockerfile, and whether a check must come before it. */
import type { LoadedContext } from "#cli/build/local-context.ts";
import type { Output } from "#cli/output.ts";
import type { BuildWarning } from "#client/build-events.ts";

/** The build argument that says what `# check=` in the file would: BUILDKIT_DOCKERFILE_CHECK. */
const CHECK_ARGUMENT = "BUILDKIT_DOCKERFILE_CHECK";

export const countOf = (warnings: readonly unknown[]): string =>
  warnings.length === 1 ? "1 warning" : `${warnings.length} warnings`;

export const shortLine = ({ rule, message, line }: BuildWarning): string =>
  ` - ${rule}: ${message} (line ${line})`;

/** One line for each, below a build's own output. */
export const printWarnings = (warnings: readonly BuildWarning[], output: Output): void => {
  if (warnings.length === 0) return;
  output.error(`${countOf(warnings)} found (naru build --check shows all of it):`);
  for (const warning of warnings) output.error(shortLine(warning));
};

/** Whether the file or the build may say that warnings are errors. */
export const mayRefuse = (
  { dockerfile }: LoadedContext,
  buildArgs: Readonly<Record<string, string | null>>,
): boolean =>
  buildArgs[CHECK_ARGUMENT] !== undefined ||
  /^\s*#\s*check\s*=/im.test(dockerfile.toString("utf8"));
