/** What `create` and `run` share: the request, pull when missing, the file for the id. */
import type { Client } from "#client/client.ts";
import { describeAddress } from "#client/connection.ts";
import type { CliContext } from "#cli/context.ts";
import { exitCodeOf, exitError } from "#cli/framework/errors.ts";
import type { Invocation } from "#cli/framework/command.ts";
import { errorText } from "#cli/report.ts";
import { isAnswer } from "#client/errors.ts";
import { buildCreateRequest } from "#cli/run-options/request.ts";
import type { containerFlags } from "#cli/run-options/flags.ts";
import { pullImage } from "#cli/image/pull-image.ts";
import { familiarName } from "#cli/image/names.ts";
import { hasCode, NaruError } from "#lib/errors.ts";
import type { CreateRequest } from "#spec/docker/container.ts";

export const FAILED_EXIT_CODE = 125;
const NOT_EXECUTABLE_EXIT_CODE = 126;
const NOT_FOUND_EXIT_CODE = 127;

/** Docker's exit codes by what the runtime said about the program. */
const exitCodeFor = (text: string): number => {
  if (/executable file not found|no such file or directory/.test(text)) return NOT_FOUND_EXIT_CODE;
  if (/permission denied|is a directory/.test(text)) return NOT_EXECUTABLE_EXIT_CODE;
  return FAILED_EXIT_CODE;
};

/** Prefixed, with the way to help, and an exit code of 125, 126 or 127. */
export const runFailure = (command: "run" | "create", error: unknown): Error => {
  // Its own output could not be written: that is no failure of the container's.
  if (error instanceof NaruError && exitCodeOf(error) !== undefined) return error;
  const text = errorText(error);
  return exitError(
    // What fails on this side has nothing to do with the program in the container.
    isAnswer(error) ? exitCodeFor(text) : FAILED_EXIT_CODE,
    `naru: ${text}\n\nRun 'naru ${command} --help' for more information`,
  );
};

type CreateInvocation = Pick<
  Invocation<typeof containerFlags>,
  "context" | "flags" | "args" | "changed"
>;

const PULL_POLICIES = new Set(["always", "missing", "never"]);

/** Reads the flags to the end before anything is sent. */
export const prepareRequest = async ({
  context,
  flags,
  args,
  changed,
}: CreateInvocation): Promise<CreateRequest> => {
  const [image = "", ...command] = args;
  if (flags.pull !== undefined && !PULL_POLICIES.has(flags.pull)) {
    throw new Error(
      `invalid pull option: '${flags.pull}': must be one of "always", "missing" or "never"`,
    );
  }
  const { proxies } = await context.config();
  const host = proxies === undefined ? "" : describeAddress((await context.host()).address);
  return buildCreateRequest({
    flags,
    changed,
    image,
    args: command,
    env: context.env,
    proxies: proxies?.[host] ?? proxies?.["default"],
  });
};

const reserveIdFile = async (path: string): Promise<(id: string) => Promise<void>> => {
  const { open, rm, stat } = await import("node:fs/promises");
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  if (isThere) {
    throw new Error(
      `container ID file found, make sure the other container isn't running or delete ${path}`,
    );
  }
  try {
    const file = await open(path, "wx");
    return async (id) => {
      if (id === "") await rm(path, { force: true });
      else await file.writeFile(id);
      await file.close();
    };
  } catch (cause) {
    const { code = String(cause) } = cause as NodeJS.ErrnoException;
    const reason = code === "ENOENT" ? "no such file or directory" : code;
    throw new Error(`failed to create the container ID file: open ${path}: ${reason}`, { cause });
  }
};

const isImageMissing = (error: unknown): boolean =>
  hasCode(error, "not_found") && error instanceof Error && /no such image/i.test(error.message);

const post = async (
  context: CliContext,
  client: Client,
  request: CreateRequest,
  flags: CreateInvocation["flags"],
): Promise<string> => {
  const platform = flags.platform ?? context.env["DOCKER_DEFAULT_PLATFORM"];
  const image = request.Image ?? "";
  const pull = (): Promise<void> =>
    pullImage(context, image, { platform, isQuiet: flags.quiet, stream: "stderr" });
  const create = async (): Promise<string> => {
    const answer = await client.call("containerCreate", {
      query: { name: flags.name, platform },
      body: request,
    });
    for (const warning of answer.Warnings ?? []) context.output.error(`WARNING: ${warning}`);
    return answer.Id;
  };
  if (flags.pull === "always") await pull();
  try {
    return await create();
  } catch (error) {
    if (!isImageMissing(error) || flags.pull === "never" || flags.pull === "always") throw error;
    if (!flags.quiet) {
      await context.output.write(
        "stderr",
        `Unable to find image '${familiarName(image)}' locally\n`,
      );
    }
    await pull();
    return create();
  }
};

/** Creates the container and resolves to its id; the id file is written or taken back. */
export const createContainer = async (
  { context, flags }: Pick<CreateInvocation, "context" | "flags">,
  request: CreateRequest,
): Promise<string> => {
  const client = await context.client();
  const finish = flags.cidfile === undefined ? undefined : await reserveIdFile(flags.cidfile);
  let id = "";
  try {
    id = await post(context, client, request, flags);
  } finally {
    await finish?.(id);
  }
  return id;
};
