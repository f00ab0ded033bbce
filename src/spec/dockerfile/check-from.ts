/** Checks of FROM: its variables and its platform. */
import type { CheckOptions, Report } from "#spec/dockerfile/check.ts";
import type { Dockerfile, Stage, Word } from "#spec/dockerfile/dockerfile.ts";
import { Complaint, DockerfileError, withSuggestion } from "#spec/dockerfile/error.ts";
import { type Expansion, expandWord } from "#spec/dockerfile/expand.ts";
import { automaticArgs, withMetaArgs } from "#spec/dockerfile/plan-args.ts";
import { NaruError } from "#lib/errors.ts";
import { type Platform, parsePlatform } from "#spec/image/platform.ts";
import { parseReference } from "#spec/image/reference.ts";

type Args = ReadonlyMap<string, string>;

/** undefined: it cannot be expanded, which the plan tells in its own words. */
const expansion = (file: Dockerfile, word: Word, args: Args): Expansion | undefined => {
  const { escape } = file.directives;
  try {
    return expandWord(word.text, (name) => args.get(name), { escape });
  } catch (error) {
    if (error instanceof Complaint) return undefined;
    throw error;
  }
};

const accepts = (parse: () => unknown): boolean => {
  try {
    parse();
    return true;
  } catch (error) {
    if (error instanceof NaruError) return false;
    throw error;
  }
};

/** Whether the file works when no build argument is given. */
const checkDefaults = (file: Dockerfile, automatic: Args, report: Report): void => {
  let args: Args;
  try {
    args = withMetaArgs(file, automatic, new Map());
  } catch (error) {
    // A `${X:?}` may want a build argument.
    if (error instanceof DockerfileError) return;
    throw error;
  }
  for (const { from } of file.stages) {
    const base = expansion(file, from.base, args);
    if (base === undefined) return;
    if (accepts(() => parseReference(base.text))) continue;
    const message = `Default value for ARG ${from.base.text} results in empty or invalid base image name`;
    report("InvalidDefaultArgInFrom", from.range, message);
  }
};

const checkUndefined = (
  stage: Stage,
  { missing }: Expansion,
  names: ReadonlySet<string>,
  report: Report,
): void => {
  const { range, comments } = stage.from;
  for (const name of missing) {
    if (names.has(name)) continue;
    const reason = `FROM argument '${name}' is not declared`;
    report("UndefinedArgInFrom", range, withSuggestion(reason, name, names), comments);
  }
};

const platformOf = (text: string): Platform | undefined =>
  accepts(() => parsePlatform(text)) ? parsePlatform(text) : undefined;

const checkPlatform = (
  stage: Stage,
  word: Word,
  platform: Expansion,
  args: Args,
  report: Report,
) => {
  const { range, comments } = stage.from;
  const { used, missing, text } = platform;
  const isTarget = used.size === 1 && missing.size === 0 && used.has("TARGETPLATFORM");
  if (isTarget && text === args.get("TARGETPLATFORM")) {
    const message = `Setting platform to predefined ${word.text} in FROM is redundant as this is the default behavior`;
    report("RedundantTargetPlatform", range, message, comments);
  }
  if (used.size > 0 || missing.size > 0) return;
  const parsed = platformOf(text);
  if (parsed === undefined) return;
  // A stage that is named after its platform means it.
  const name = stage.name ?? "";
  if (name.includes(parsed.os) || name.includes(parsed.architecture)) return;
  const message = `FROM --platform flag should not use constant value ${JSON.stringify(text)}`;
  report("FromPlatformFlagConstDisallowed", range, message, comments);
};

export const checkFrom = (file: Dockerfile, options: CheckOptions, report: Report): void => {
  const automatic = automaticArgs(file, options);
  checkDefaults(file, automatic, report);
  const args = withMetaArgs(file, automatic, options.buildArgs);
  const declared = file.metaArgs.flatMap((arg) => arg.args.map(({ key }) => key.text));
  const names = new Set([...declared, ...args.keys()]);
  for (const stage of file.stages) {
    const base = expansion(file, stage.from.base, args);
    if (base !== undefined) checkUndefined(stage, base, names, report);
    const word = stage.from.platform;
    const platform = word === undefined ? undefined : expansion(file, word, args);
    if (word === undefined || platform === undefined) continue;
    checkUndefined(stage, platform, names, report);
    checkPlatform(stage, word, platform, args, report);
  }
};
