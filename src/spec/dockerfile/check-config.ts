/** `# check=skip=A,B;error=true;experimental=C`, at the top of a file or above one instruction. */
import { NaruError } from "#lib/errors.ts";
import { Complaint } from "#spec/dockerfile/error.ts";
import { RULES, type Rule, type RuleName } from "#spec/dockerfile/check-rules.ts";

export interface CheckConfig {
  readonly skip: "all" | readonly string[];
  readonly experimental: "all" | readonly string[];
  /** Warnings make the build fail. */
  readonly isError: boolean;
}

export const DEFAULT_CHECKS: CheckConfig = { skip: [], experimental: [], isError: false };

const TRUE: readonly string[] = ["1", "t", "T", "TRUE", "true", "True"];
const FALSE: readonly string[] = ["0", "f", "F", "FALSE", "false", "False"];
const OPTIONS_MAX = 3;

const names = (value: string): "all" | readonly string[] => {
  const trimmed = value.trim();
  return trimmed === "all" ? trimmed : trimmed.split(",").map((name) => name.trim());
};

/** Throws Complaint. */
export const parseCheckConfig = (text: string): CheckConfig => {
  let config = DEFAULT_CHECKS;
  const trimmed = text.trim();
  if (trimmed === "") return config;
  const options = trimmed.split(";");
  const parts = [
    ...options.slice(0, OPTIONS_MAX - 1),
    options.slice(OPTIONS_MAX - 1).join(";"),
  ].filter((part, index) => part !== "" || index < options.length - 1);
  for (const part of parts) {
    const equals = part.indexOf("=");
    const key = part.slice(0, equals).trim();
    const value = part.slice(equals + 1);
    if (equals < 0) throw new Complaint(`invalid check option ${JSON.stringify(part)}`);
    if (key === "skip") config = { ...config, skip: names(value) };
    else if (key === "experimental") config = { ...config, experimental: names(value) };
    else if (key === "error") {
      const isTrue = TRUE.includes(value.trim());
      if (!isTrue && !FALSE.includes(value.trim())) {
        throw new Complaint(
          `failed to parse check option ${JSON.stringify(part)}: error is true or false`,
        );
      }
      config = { ...config, isError: isTrue };
    } else throw new Complaint(`invalid check option ${JSON.stringify(key)}`);
  }
  return config;
};

/** A build argument that says what `# check=` would. */
export const CHECK_ARGUMENT = "BUILDKIT_DOCKERFILE_CHECK";

/** What the build argument says; undefined where it is not there. Throws invalid_argument. */
export const checkArgument = (buildArgs: ReadonlyMap<string, string>): CheckConfig | undefined => {
  const text = buildArgs.get(CHECK_ARGUMENT);
  try {
    return text === undefined ? undefined : parseCheckConfig(text);
  } catch (error) {
    if (!(error instanceof Complaint)) throw error;
    throw new NaruError("invalid_argument", `build argument "${CHECK_ARGUMENT}": ${error.message}`);
  }
};

const union = (
  a: "all" | readonly string[],
  b: "all" | readonly string[],
): "all" | readonly string[] => (a === "all" || b === "all" ? "all" : [...a, ...b]);

/** The config for an instruction below `comments`: `check=…` in one of them adds to the file's. */
export const withComments = (config: CheckConfig, comments: readonly string[]): CheckConfig => {
  for (const comment of comments) {
    const value = /^check\s*=\s*(\S+)/i.exec(comment)?.[1];
    if (value === undefined) continue;
    try {
      const own = parseCheckConfig(value);
      return {
        ...config,
        skip: union(config.skip, own.skip),
        experimental: union(config.experimental, own.experimental),
      };
    } catch (error) {
      // It only looks like a directive: it is prose.
      if (error instanceof Complaint) return config;
      throw error;
    }
  }
  return config;
};

const isIn = (rule: RuleName, list: "all" | readonly string[]): boolean =>
  list === "all" || list.includes(rule);

export const isEnabled = (rule: RuleName, config: CheckConfig): boolean => {
  const { isExperimental }: Rule = RULES[rule];
  return isExperimental === true ? isIn(rule, config.experimental) : !isIn(rule, config.skip);
};
