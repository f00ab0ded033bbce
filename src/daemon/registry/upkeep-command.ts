/** `naru registry collect` and `naru registry retention`: asks a running registry, and says what it did or would do. */
import { readFileSync, writeSync } from "node:fs";
import { parseArgs } from "node:util";
import { NaruError } from "#lib/errors.ts";
import { fetchReason } from "#lib/fetch-reason.ts";
import type { CollectReport } from "#registry/collect.ts";
import type { RetentionReport } from "#registry/retention-run.ts";
import { parseFault } from "#spec/distribution/answers.ts";

const STDIN = 0;
const STDOUT = 1;
const DEFAULT_URL = "http://127.0.0.1:5000";

const FLAGS = {
  url: { type: "string" },
  user: { type: "string" },
  "password-stdin": { type: "boolean" },
  "dry-run": { type: "boolean" },
  untagged: { type: "boolean" },
} as const;

const parse = (argv: readonly string[]) => {
  try {
    return parseArgs({ args: [...argv], options: FLAGS, strict: true }).values;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new NaruError(
      "invalid_argument",
      `${reason}\nRun 'naru registry --help' for the options`,
      {
        cause,
      },
    );
  }
};

type Flags = ReturnType<typeof parse>;

const authorization = (flags: Flags): Record<string, string> => {
  if ((flags.user === undefined) !== (flags["password-stdin"] !== true)) {
    throw new NaruError("invalid_argument", "--user and --password-stdin belong together");
  }
  if (flags.user === undefined) return {};
  const password = readFileSync(STDIN, "utf8").replace(/\r?\n$/, "");
  const credentials = Buffer.from(`${flags.user}:${password}`).toString("base64");
  return { authorization: `Basic ${credentials}` };
};

const ask = async (flags: Flags, path: string): Promise<unknown> => {
  const query = new URLSearchParams();
  if (flags["dry-run"] === true) query.set("dry-run", "1");
  if (flags.untagged === true) query.set("untagged", "1");
  const url = `${flags.url ?? DEFAULT_URL}${path}?${query.toString()}`;
  const headers = authorization(flags);
  let reply: Response;
  try {
    reply = await fetch(url, { method: "POST", headers });
  } catch (cause) {
    throw new NaruError(
      "unavailable",
      `no registry answers at "${flags.url ?? DEFAULT_URL}" (${fetchReason(cause)}): start it, or give --url`,
      { cause },
    );
  }
  if (reply.ok) return reply.json();
  const said = await reply.text();
  const reason = parseFault(said)?.message || said.trim();
  const remedy = reply.status === 401 ? ": give --user NAME --password-stdin" : "";
  throw new NaruError(
    "failed_precondition",
    `the registry says ${reply.status}, ${reason}${remedy}`,
  );
};

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;

const TOO_EARLY =
  "nothing was looked at: the registry started less than its grace time (gc-grace-seconds) ago, and clients may be about to use what it told them of before";

const collectLines = (report: CollectReport, verb: string): string[] => [
  ...(report.isTooEarly ? [TOO_EARLY] : []),
  ...report.manifests.map(({ repository, digest }) => `${verb} manifest ${repository}@${digest}`),
  ...report.blobs.map(({ repository, digest }) => `${verb} blob ${repository}@${digest}`),
  `${verb} ${plural(report.manifests.length, "manifest")} and ${plural(report.blobs.length, "blob")}: ${report.freedBytes} bytes`,
];

const retentionLines = ({ removed, keptCount }: RetentionReport, verb: string): string[] => [
  ...removed.map(({ repository, tag, reason }) => `${verb} ${repository}:${tag} (${reason})`),
  `${verb} ${plural(removed.length, "tag")}, ${keptCount} stay`,
];

/** `verb`: "collect" or "retention". Throws what the registry refuses. */
export const runUpkeep = async (verb: string, argv: readonly string[]): Promise<void> => {
  const flags = parse(argv);
  if (verb !== "collect" && flags.untagged === true) {
    throw new NaruError("invalid_argument", "--untagged is of 'naru registry collect' alone");
  }
  const said = flags["dry-run"] === true ? "would remove" : "removed";
  const report = await ask(flags, `/naru/${verb}`);
  const lines =
    verb === "collect"
      ? collectLines(report as CollectReport, said)
      : retentionLines(report as RetentionReport, said);
  writeSync(STDOUT, `${lines.join("\n")}\n`);
};
