/** Opens a project's stack for a command: client, progress, files, builder. */
import type { CliContext } from "#cli/context.ts";
import { Screen } from "#cli/compose/screen.ts";
import type { ScreenMode } from "#cli/compose/screen.ts";
import { composeFlagsOf } from "#cli/compose/state.ts";
import { registryAuthHeader } from "#cli/registry/credentials.ts";
import { Stack } from "#compose/stack.ts";
import type { Project } from "#spec/compose/project.ts";
import { NaruError } from "#lib/errors.ts";

export interface OpenStack {
  readonly stack: Stack;
  readonly screen: Screen;
}

/** As many at once as nobody has asked to be fewer. */
const PARALLEL = 64;

export interface OpenStackOptions {
  readonly isQuiet?: boolean;
  /** Failures are shown all the same. */
  readonly isPullQuiet?: boolean;
  readonly isBuildQuiet?: boolean;
  /** Other lines come at the same time: nothing is rewritten in place. */
  readonly hasOutputBeside?: boolean;
  readonly stopTimeout?: number | undefined;
  readonly signal?: AbortSignal;
  readonly buildImage?: (service: string, image: string) => Promise<void>;
}

const modeOf = async (
  context: CliContext,
  { isQuiet, hasOutputBeside }: OpenStackOptions,
): Promise<ScreenMode> => {
  if (isQuiet === true) return "quiet";
  const { progress, ansi } = composeFlagsOf(context);
  const given = progress ?? context.env["COMPOSE_PROGRESS"] ?? "auto";
  if (given === "tty" || given === "plain" || given === "json" || given === "quiet") return given;
  if (given !== "auto") {
    throw new NaruError("invalid_argument", `"${given}" is no way to show progress`);
  }
  if (ansi === "never" || hasOutputBeside === true) return "plain";
  return (await context.output.isTerminal("stderr")) ? "tty" : "plain";
};

/** A project of which only the name is known. */
export const namelessProject = (name: string): Project => ({
  model: { name, services: {} },
  disabled: {},
  workingDirectory: "/",
  files: [],
  environmentFiles: [],
  profiles: [],
  environment: {},
  warnings: [],
});

export const openStack = async (
  context: CliContext,
  project: Project,
  options: OpenStackOptions = {},
): Promise<OpenStack> => {
  const [client, mode] = await Promise.all([context.client(), modeOf(context, options)]);
  const screen = new Screen(context.output, mode);
  const limit = composeFlagsOf(context).parallel ?? Number(context.env["COMPOSE_PARALLEL_LIMIT"]);
  const stack = new Stack({
    client,
    project,
    host: {
      readFile: async (path) => {
        try {
          return await Bun.file(path).bytes();
        } catch (cause) {
          throw new NaruError("not_found", `the file "${path}" cannot be read`, { cause });
        }
      },
      onProgress: (event) => {
        const isOfPull = event.status === "Pulling" || event.status === "Pulled";
        if (options.isPullQuiet === true && isOfPull && event.phase !== "fail") return;
        screen.show(event);
      },
      registryHeaders: (image) => registryAuthHeader(context, image),
      buildImage:
        options.buildImage ??
        (async (service, image) => {
          const { buildService } = await import("#cli/compose/build-service.ts");
          const isQuiet = options.isBuildQuiet ?? false;
          await buildService(context, project, service, image, { isQuiet });
        }),
    },
    parallel: limit > 0 ? limit : PARALLEL,
    stopTimeout: options.stopTimeout,
    signal: options.signal,
  });
  return { stack, screen };
};
