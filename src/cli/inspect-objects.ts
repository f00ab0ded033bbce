/** `inspect` of any kind of object: JSON in docker's layout or the user's template. */
import type { CliContext } from "#cli/context.ts";
import { exitError } from "#cli/framework/errors.ts";
import { errorText } from "#cli/report.ts";
import { evaluate } from "#cli/template/evaluate.ts";
import { parseTemplate } from "#cli/template/parser.ts";
import type { Node } from "#cli/template/syntax.ts";
import { NaruError } from "#lib/errors.ts";

/** Fields that the API leaves out when they have nothing to say. */
const OPTIONAL_FIELDS: ReadonlySet<string> = new Set([
  "Health",
  "Healthcheck",
  "SizeRw",
  "SizeRootFs",
  "ExposedPorts",
  "StopSignal",
  "StopTimeout",
  "Shell",
  "Init",
  "Mounts",
  "Tmpfs",
  "Sysctls",
  "StorageOpt",
  "Annotations",
  "Variant",
  "MacAddress",
  "NetworkDisabled",
  "Status",
  "UsageData",
  "Driver",
  "Name",
  "Description",
  "ImageManifestDescriptor",
]);

const TEMPLATE_EXIT_CODE = 64;

const parse = (template: string): Node[] => {
  try {
    return parseTemplate(template);
  } catch (error) {
    throw exitError(TEMPLATE_EXIT_CODE, errorText(error));
  }
};

/**
 * Prints what was found, then the failures. `find` throws not_found for an unknown name. Returns
 * the exit code: 1 when a name or the template failed.
 */
export const inspectObjects = async (
  context: CliContext,
  names: readonly string[],
  template: string | undefined,
  find: (name: string) => Promise<unknown>,
): Promise<number> => {
  const { output } = context;
  const nodes =
    template === undefined || template === "" || template === "json" ? undefined : parse(template);
  const found: unknown[] = [];
  const failures: string[] = [];
  for (const result of await Promise.allSettled(names.map((name) => find(name)))) {
    if (result.status === "fulfilled") found.push(result.value);
    else failures.push(errorText(result.reason));
  }
  if (nodes === undefined) {
    const indent = template === "json" ? undefined : 4;
    output.line(JSON.stringify(found, undefined, indent));
  } else {
    for (const object of found) {
      try {
        output.line(evaluate(nodes, object, { optionalFields: OPTIONAL_FIELDS }));
      } catch (error) {
        output.line("");
        if (!(error instanceof NaruError)) throw error;
        failures.push(error.message);
      }
    }
    if (found.length === 0) output.line("");
  }
  for (const failure of failures) output.error(failure);
  return failures.length === 0 ? 0 : 1;
};
