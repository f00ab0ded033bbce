/** Starts the keeper process of an engine and speaks with it. */
import type { Engine } from "./engine.ts";

export interface Keeper {
  readonly facts: Partial<Engine> & { readonly host: string };
  /** Stops the engine; resolves with what it left over. */
  stop(): Promise<readonly string[]>;
}

/** Waits until the engine answers and has the test images. */
export const startKeeper = async (): Promise<Keeper> => {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/keeper.ts`], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const reader = child.stdout.getReader();
  let seen = "";
  const line = async (): Promise<string> => {
    while (!seen.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`the engine's keeper ended with ${await child.exited}`);
      seen += Buffer.from(value).toString("utf8");
    }
    const at = seen.indexOf("\n");
    const first = seen.slice(0, at);
    seen = seen.slice(at + 1);
    return first;
  };
  const facts = JSON.parse(await line()) as Keeper["facts"];
  return {
    facts,
    stop: async () => {
      await child.stdin.end();
      const left = JSON.parse(await line()) as string[];
      await child.exited;
      return left;
    },
  };
};
