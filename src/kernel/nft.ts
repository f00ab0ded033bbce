/** nftables: atomic transactions in nft(8)'s own language. */
import { type ErrorCode, NaruError } from "#lib/errors.ts";
import { KeyedQueue } from "#lib/keyed-queue.ts";
import { namespaceKernel } from "#kernel/namespace.ts";
import { type NftAnswer, nftLibrary } from "#kernel/nft-library.ts";

export type NftFamily = "ip" | "ip6" | "inet" | "arp" | "bridge" | "netdev";

export interface NftTable {
  readonly family: NftFamily;
  readonly name: string;
}

export interface NftKernel {
  /**
   * Applies commands as one transaction: all or nothing. Transactions take effect in the order of the
   * calls. The error holds nft's first complaint and the line it is about: `not_found`,
   * `already_exists`, `conflict`, `permission_denied`, `not_implemented` by nft's reason, else
   * `internal`; `details.nft` has all that it said. `unavailable` when the host has no nftables.
   */
  apply(commands: string): Promise<void>;
  /** The same in the network namespace at a path. */
  applyIn(netnsPath: string, commands: string): Promise<void>;
  /** Removes a table with all in it. One that does not exist is fine. */
  deleteTable(family: NftFamily, name: string): Promise<void>;
  listTables(): Promise<NftTable[]>;
}

/** Beyond this a transaction takes several milliseconds: a child process keeps this thread free. */
const MAX_INLINE_CHARACTERS = 64 * 1024;

const CODES: readonly (readonly [reason: RegExp, code: ErrorCode])[] = [
  [/No such file or directory|does not exist/, "not_found"],
  [/File exists/, "already_exists"],
  [/busy/, "conflict"],
  [/Operation not permitted|Permission denied/, "permission_denied"],
  [/not supported/, "not_implemented"],
];

/** nft writes "Error: why", then the line, then marks under the part that is wrong. */
const errorOf = (text: string): NaruError => {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const at = lines.findIndex((line) => line.includes("Error:"));
  const why = (lines[Math.max(at, 0)] ?? "no reason given").replace(/^.*?Error: /, "");
  const command = lines[at + 1]?.trim();
  const about = command === undefined ? "" : ` in "${command}"`;
  const code = CODES.find(([reason]) => reason.test(why))?.[1] ?? "internal";
  return new NaruError(code, `nftables refused the rules: ${why}${about}`, {
    details: { call: "nft", nft: text.trim() },
  });
};

const runProgram = async (commands: string, prefix: readonly string[] = []): Promise<NftAnswer> => {
  let child;
  try {
    child = Bun.spawn([...prefix, "nft", "-f", "-"], {
      stdin: Buffer.from(commands),
      stdout: "pipe",
      stderr: "pipe",
    });
  } catch (cause) {
    const message = "nftables is not installed: install the package nftables";
    throw new NaruError("unavailable", message, { cause });
  }
  const [output, error, status] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { isDone: status === 0, output, error };
};

const parseTables = (output: string): NftTable[] =>
  output.split("\n").flatMap((line) => {
    const match = /^table (\S+) (\S+)/.exec(line);
    return match === null ? [] : [{ family: match[1] as NftFamily, name: match[2] ?? "" }];
  });

export interface NftOptions {
  /** Tests of the other way: always run the program. */
  readonly isLibraryUsed?: boolean;
}

export const createNftKernel = (options: NftOptions = {}): NftKernel => {
  const queue = new KeyedQueue();
  const library = (options.isLibraryUsed ?? true) ? nftLibrary() : undefined;

  /**
   * In a text of several lines the library quotes the first one, whichever is wrong. What it refuses
   * therefore goes to the program as well, which quotes the right one; nothing is done twice, because
   * the refused transaction left nothing behind.
   */
  const runOnce = async (commands: string): Promise<NftAnswer> => {
    if (library === undefined || commands.length > MAX_INLINE_CHARACTERS)
      return runProgram(commands);
    const answer = library.here(commands);
    if (answer.isDone || !commands.trimEnd().includes("\n")) return answer;
    return runProgram(commands);
  };

  const run = async (commands: string): Promise<string> => {
    const answer = await queue.run("nft", () => runOnce(commands));
    if (!answer.isDone) throw errorOf(answer.error);
    return answer.output;
  };

  return {
    apply: async (commands) => {
      if (commands.trim() !== "") await run(commands);
    },
    applyIn: async (netnsPath, commands) => {
      const answer =
        library === undefined
          ? await runProgram(commands, ["nsenter", `--net=${netnsPath}`])
          : namespaceKernel.inNetns(netnsPath, () => library.away(commands));
      if (!answer.isDone) throw errorOf(answer.error);
    },
    // "add" makes the table when it is absent, so that "delete" has no reason to complain.
    deleteTable: async (family, name) =>
      void (await run(`add table ${family} ${name}\ndelete table ${family} ${name}\n`)),
    listTables: async () => parseTables(await run("list tables\n")),
  };
};
