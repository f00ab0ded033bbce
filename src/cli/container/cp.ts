import type { Client } from "#client/client.ts";
import type { CliContext } from "#cli/context.ts";
import { parentOf, planCopy, splitCopyArgument, baseOf } from "#cli/container/cp-plan.ts";
import type { CopyTarget } from "#cli/container/cp-plan.ts";
import { packLocal, unpackLocal } from "#cli/container/cp-tar.ts";
import { humanSize } from "#cli/format/units.ts";
import { defineCommand, TWO } from "#cli/framework/command.ts";
import { usageError } from "#cli/framework/errors.ts";
import { bool } from "#cli/framework/flags.ts";
import { absolutePath } from "#lib/path.ts";
import { hasCode, NaruError } from "#lib/errors.ts";
import type { PathStat } from "#spec/docker/container.ts";

/** Bits of Go's os.FileMode. */
const FOLDER_BIT = 2 ** 31;
const LINK_BIT = 2 ** 27;
const hasBit = (mode: number, bit: number): boolean => Math.floor(mode / bit) % 2 === 1;

interface CopyOptions {
  readonly context: CliContext;
  readonly client: Client;
  readonly container: string;
  readonly inside: string;
  readonly outside: string;
  readonly isArchive: boolean;
  readonly followsLink: boolean;
  readonly isQuiet: boolean;
}

const decodeStat = (header: string | undefined): PathStat => {
  if (header === undefined) {
    throw new NaruError("data_loss", "the engine's answer tells nothing about the path");
  }
  return JSON.parse(Buffer.from(header, "base64").toString("utf8")) as PathStat;
};

const statInside = async (
  client: Client,
  id: string,
  path: string,
): Promise<PathStat | undefined> => {
  try {
    const response = await client.call("archiveStat", { id, query: { path } });
    await response.text();
    return decodeStat(response.headers.get("x-docker-container-path-stat"));
  } catch (error) {
    if (hasCode(error, "not_found")) return undefined;
    throw error;
  }
};

const resolveLink = (path: string, link: string): string =>
  link.startsWith("/") ? link : `${parentOf(path)}/${link}`;

/** Keeps "/." and "/" at the end: they say what is meant. */
const absoluteAsWritten = (path: string): string => {
  const suffix = /(^|\/)\.\/*$/.test(path) ? "/." : path.endsWith("/") ? "/" : "";
  const absolute = absolutePath(path);
  return absolute === "/" ? "/" : absolute + suffix;
};

const statOutside = async (path: string, followsLink = true): Promise<CopyTarget> => {
  const { lstat, stat } = await import("node:fs/promises");
  try {
    const found = await (followsLink ? stat(path) : lstat(path));
    return { path, exists: true, isFolder: found.isDirectory() };
  } catch (error) {
    if (Reflect.get(Object(error), "code") !== "ENOENT") throw error;
    return { path, exists: false, isFolder: false };
  }
};

/** Most links on the way to a file, as the kernel counts them (path_resolution(7)). */
const LINKS_MAX = 40;

/** What is written to: the file that a link leads to, never the link itself, be the file there or not. */
const throughLinks = async (path: string): Promise<string> => {
  const { readlink } = await import("node:fs/promises");
  let at = path;
  for (let count = 0; count < LINKS_MAX && !/\/\.?$/.test(at); count += 1) {
    // oxlint-disable-next-line no-await-in-loop -- each link names the next
    const link = await readlink(at).catch(() => undefined);
    if (link === undefined) break;
    at = resolveLink(at, link);
  }
  return at;
};

/** Unpacking would put a file in its place, and `/dev/null` would be one for the whole machine. */
const checkOutput = async (path: string): Promise<void> => {
  const { stat } = await import("node:fs/promises");
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || found.isFile() || found.isDirectory()) return;
  const what = found.isCharacterDevice() || found.isBlockDevice() ? ": got a device" : "";
  throw new NaruError(
    "invalid_argument",
    `invalid output path: "${path}" must be a directory or a regular file${what}`,
  );
};

const report = (options: CopyOptions, sizeBytes: number, target: string): void => {
  if (!options.isQuiet) {
    options.context.output.error(`Successfully copied ${humanSize(sizeBytes, 3)} to ${target}`);
  }
};

const copyOut = async (options: CopyOptions): Promise<void> => {
  const { client, container: id, context } = options;
  const outside = await throughLinks(absoluteAsWritten(options.outside));
  if (options.outside !== "-") await checkOutput(outside);
  let path = options.inside;
  let name: string | undefined;
  if (options.followsLink) {
    const found = await statInside(client, id, path);
    if (found !== undefined && hasBit(found.mode, LINK_BIT)) {
      name = baseOf(path);
      path = resolveLink(path, found.linkTarget);
    }
  }
  const response = await client.call("archiveGet", { id, query: { path } });
  if (options.outside === "-") {
    for await (const chunk of response.body) await context.output.write("stdout", chunk);
    return;
  }
  const source = decodeStat(response.headers.get("x-docker-container-path-stat"));
  const target = await statOutside(outside);
  const plan = planCopy({ path, isFolder: hasBit(source.mode, FOLDER_BIT) }, target);
  const isInto = target.exists && target.isFolder;
  const folder = await statOutside(plan.folder);
  if (!folder.isFolder) {
    response.cancel();
    throw new NaruError(
      "not_found",
      `invalid output path: directory "${plan.folder}" does not exist; create it first`,
    );
  }
  const renamed = isInto && name !== undefined ? { ...plan, to: name } : plan;
  const sizeBytes = await unpackLocal(response.body, renamed, options.isArchive);
  report(options, sizeBytes, absoluteAsWritten(options.outside));
};

const targetInside = async (options: CopyOptions): Promise<CopyTarget> => {
  const { client, container: id } = options;
  let path = options.inside;
  let found = await statInside(client, id, path);
  if (found !== undefined && hasBit(found.mode, LINK_BIT)) {
    path = resolveLink(path, found.linkTarget);
    found = await statInside(client, id, path);
  }
  const isFolder = found !== undefined && hasBit(found.mode, FOLDER_BIT);
  return { path, exists: found !== undefined, isFolder };
};

const copyIn = async (options: CopyOptions): Promise<void> => {
  const { client, container: id } = options;
  const target = await targetInside(options);
  const put = (folder: string, body: AsyncIterable<Uint8Array>): Promise<void> =>
    client.call("archivePut", {
      id,
      query: { path: folder, noOverwriteDirNonDir: "true", copyUIDGID: options.isArchive },
      headers: { "Content-Type": "application/x-tar" },
      body,
    });
  if (options.outside === "-") {
    if (!target.isFolder) {
      throw new NaruError(
        "failed_precondition",
        `destination "${id}:${options.inside}" must be a directory`,
      );
    }
    await put(target.path, Bun.stdin.stream());
    return;
  }
  const path = absoluteAsWritten(options.outside);
  const local = await statOutside(path, options.followsLink || path.endsWith("/"));
  if (!local.exists) throw new NaruError("not_found", `lstat ${path}: no such file or directory`);
  const plan = planCopy({ path, isFolder: local.isFolder }, target);
  const { realpath } = await import("node:fs/promises");
  // A slash at the end means the folder that a link leads to.
  const isResolved = (options.followsLink || path.endsWith("/")) && baseOf(path) !== ".";
  const real = isResolved ? await realpath(path) : path;
  const packed = packLocal(real, { ...plan, from: baseOf(real) });
  await put(plan.folder, packed.bytes());
  report(options, packed.sizeBytes(), `${id}:${target.path}`);
};

export const command = defineCommand({
  usage:
    "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n        naru cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
  description:
    "Use '-' as the source to read a tar archive from standard input and unpack it into a folder of " +
    "the container, or as the destination to write the archive to standard output.",
  flags: {
    archive: bool("Archive mode (copy all uid/gid information)", "a"),
    "follow-link": bool("Always follow symbol link in SRC_PATH", "L"),
    quiet: bool("Suppress progress output during copy", "q"),
  },
  args: TWO,
  completes: "containers",
  run: async ({ context, flags, args }) => {
    const [source, target] = args.map((argument) => splitCopyArgument(argument));
    if (source === undefined || target === undefined || args.includes("")) {
      throw usageError("neither source nor destination may be empty");
    }
    if (source.container !== undefined && target.container !== undefined) {
      throw new NaruError("not_implemented", "copying between containers is not supported");
    }
    const container = source.container ?? target.container;
    if (container === undefined) {
      throw new NaruError("invalid_argument", "must specify at least one container source");
    }
    const isOut = source.container !== undefined;
    if ((isOut ? source.path : target.path) === "") {
      throw usageError(`there is no path in "${container}:": write ${container}:/PATH`);
    }
    const options: CopyOptions = {
      context,
      client: await context.client(),
      container,
      inside: isOut ? source.path : target.path,
      outside: isOut ? target.path : source.path,
      isArchive: flags.archive,
      followsLink: flags["follow-link"],
      isQuiet: flags.quiet || !(await context.output.isTerminal("stdout")),
    };
    await (isOut ? copyOut(options) : copyIn(options));
    return 0;
  },
});
