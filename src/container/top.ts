/** Processes of a container as ps(1) on the host shows them. */
import { NaruError } from "#lib/errors.ts";
import { isLive } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import type { TopResponse } from "#spec/docker/container.ts";

/** Options that make ps print lines that are no table, or run something. */
const refuseArguments = (args: string): string[] => {
  const words = args.split(/\s+/).filter((word) => word !== "");
  for (const word of words) {
    if (!/^[\w,.:=-]+$/.test(word))
      throw new NaruError("invalid_argument", `invalid ps argument "${word}"`);
  }
  return words;
};

const splitRow = (line: string, columns: number): string[] => {
  const fields = line.trim().split(/\s+/);
  if (fields.length <= columns) return fields;
  return [...fields.slice(0, columns - 1), fields.slice(columns - 1).join(" ")];
};

/** Keeps the rows whose PID is one of `pids`. Throws when the output has no PID column. */
export const filterProcesses = (output: string, pids: ReadonlySet<number>): TopResponse => {
  const [header = "", ...lines] = output.split("\n").filter((line) => line.trim() !== "");
  const Titles = header.trim().split(/\s+/);
  const pidColumn = Titles.indexOf("PID");
  if (pidColumn < 0)
    throw new NaruError("invalid_argument", "Couldn't find PID field in ps output");
  const Processes = lines
    .map((line) => splitRow(line, Titles.length))
    .filter((row) => pids.has(Number(row[pidColumn])));
  return { Titles, Processes };
};

/** One argument may have 128 KiB (execve(2), MAX_ARG_STRLEN). */
const ARGUMENT_LIMIT = 128 * 1024 - 1;

interface PsAnswer {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

const ps = async (args: readonly string[]): Promise<PsAnswer> => {
  const child = Bun.spawn({
    cmd: ["ps", ...args],
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout, stderr, code };
};

/**
 * `psArguments` may choose other processes, or only those of a terminal: the container's own are always
 * asked for as well, and no others are told.
 */
export const topContainer = async (
  engine: Engine,
  id: string,
  psArguments: string,
): Promise<TopResponse> => {
  const record = engine.current(id);
  if (!isLive(record.state)) throw new NaruError("conflict", `container ${id} is not running`);
  if (record.state.status !== "running" && record.state.status !== "paused") {
    throw new NaruError(
      "conflict",
      `Container ${id} is restarting, wait until the container is running`,
    );
  }
  const pids = new Set(engine.deps.cgroups.processes(engine.cgroupOf(record)));
  const args = refuseArguments(psArguments === "" ? "-ef" : psArguments);
  const chosen = `-q${[...pids].join(",")}`;
  let answer =
    pids.size === 0 || chosen.length > ARGUMENT_LIMIT ? undefined : await ps([...args, chosen]);
  // Some options (f) do not go together with a choice of processes.
  if (answer?.code !== 0) answer = await ps(args);
  if (answer.code !== 0) throw new NaruError("invalid_argument", `ps: ${answer.stderr.trim()}`);
  engine.emit(record, "top");
  return filterProcesses(answer.stdout, pids);
};
