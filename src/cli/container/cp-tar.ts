/** The local side of `cp`: GNU tar packs and unpacks, so owners, links and holes are kept. */
import type { CopyPlan } from "#cli/container/cp-plan.ts";
import { baseOf, parentOf, transformRule } from "#cli/container/cp-plan.ts";
import { NaruError } from "#lib/errors.ts";

const checkExit = async (
  child: Bun.Subprocess<"ignore" | "pipe", "pipe" | "ignore", "pipe">,
): Promise<void> => {
  const [exitCode, complaint] = await Promise.all([
    child.exited,
    new Response(child.stderr).text(),
  ]);
  if (exitCode === 0) return;
  throw new NaruError(
    "internal",
    `tar failed: ${complaint.trim() || `exit code ${String(exitCode)}`}`,
  );
};

const renaming = (plan: CopyPlan): string[] => {
  const rule = transformRule(plan);
  return rule === undefined ? [] : ["--transform", rule];
};

/** Unpacks into the plan's folder; resolves to the bytes that came. */
export const unpackLocal = async (
  body: AsyncIterable<Uint8Array>,
  plan: CopyPlan,
  keepsOwner: boolean,
): Promise<number> => {
  const owner = keepsOwner ? "--same-owner" : "--no-same-owner";
  const child = Bun.spawn(
    ["tar", "-x", "-f", "-", "-C", plan.folder, "-p", "--numeric-owner", owner, ...renaming(plan)],
    { stdin: "pipe", stdout: "ignore", stderr: "pipe" },
  );
  let sizeBytes = 0;
  try {
    for await (const chunk of body) {
      sizeBytes += chunk.length;
      await child.stdin.write(chunk);
      await child.stdin.flush();
    }
  } catch (error) {
    // A tar that gave up says why itself.
    if (Reflect.get(Object(error), "code") !== "EPIPE") throw error;
  }
  await child.stdin.end();
  await checkExit(child);
  return sizeBytes;
};

export interface PackedLocal {
  bytes(): AsyncIterable<Uint8Array>;
  /** Known when `bytes` has ended. */
  sizeBytes(): number;
}

/** The archive of a file or folder, renamed as planned. */
export const packLocal = (path: string, plan: CopyPlan): PackedLocal => {
  const isContents = baseOf(path) === ".";
  const folder = isContents ? path : parentOf(path);
  const name = isContents ? "." : baseOf(path);
  const child = Bun.spawn(
    ["tar", "-c", "-f", "-", "--numeric-owner", "-C", folder, ...renaming(plan), "--", name],
    { stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  );
  let sizeBytes = 0;
  return {
    bytes: async function* bytes() {
      for await (const chunk of child.stdout) {
        sizeBytes += chunk.length;
        yield chunk;
      }
      await checkExit(child);
    },
    sizeBytes: () => sizeBytes,
  };
};
