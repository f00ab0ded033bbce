/** A service's image, built by the engine: the context goes there as a tar archive. */
import type { CliContext } from "#cli/context.ts";
import type { Project } from "#spec/compose/compose.ts";
import { NaruError } from "#lib/errors.ts";

export const buildService = (
  _context: CliContext,
  _project: Project,
  service: string,
  image: string,
): Promise<void> =>
  Promise.reject(
    new NaruError(
      "not_implemented",
      `the image "${image}" of the service "${service}" has to be built, which this version cannot do yet; build it with docker and name it under "image"`,
    ),
  );
