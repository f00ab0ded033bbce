/** What comes back for `--output`, each to its place: a file, standard output, a directory. */
import { mkdirSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import type { CliContext } from "#cli/context.ts";
import type { Output } from "#cli/build/inputs.ts";
import { NaruError } from "#lib/errors.ts";

interface Writer {
  write(data: Uint8Array): Promise<void>;
  /** All of it has come. */
  end(): Promise<void>;
  /** Removes what is half made. */
  drop(): Promise<void>;
}

/** GNU tar keeps owners, links and modes. */
const directoryWriter = (directory: string): Writer => {
  mkdirSync(directory, { recursive: true });
  const child = Bun.spawn(["tar", "-x", "-p", "-f", "-", "-C", directory], {
    stdin: "pipe",
    stdout: "ignore",
    stderr: "pipe",
  });
  return {
    write: async (data) => {
      await child.stdin.write(data);
      await child.stdin.flush();
    },
    end: async () => {
      await child.stdin.end();
      const [code, complaint] = await Promise.all([child.exited, child.stderr.text()]);
      if (code === 0) return;
      throw new NaruError("internal", `could not unpack into "${directory}": ${complaint.trim()}`);
    },
    drop: async () => {
      child.kill();
      await child.exited;
    },
  };
};

/** The file appears under its name when it is complete. */
const fileWriter = async (path: string): Promise<Writer> => {
  const temporary = `${path}.${String(process.pid)}.tmp`;
  const file = await open(temporary, "w");
  return {
    write: async (data) => {
      await file.write(data);
    },
    end: async () => {
      await file.close();
      await rename(temporary, path);
    },
    drop: async () => {
      await file.close();
      await rm(temporary, { force: true });
    },
  };
};

const streamWriter = ({ output }: CliContext): Writer => ({
  write: (data) => output.write("stdout", data),
  end: () => output.flush(),
  drop: async () => undefined,
});

const isDirectory = ({ type, attributes }: Output): boolean =>
  type === "local" || (type === "oci" && attributes["tar"] === "false");

export class OutputWriters implements AsyncDisposable {
  readonly #context: CliContext;
  readonly #outputs: readonly Output[];
  readonly #writers = new Map<number, Writer>();

  constructor(context: CliContext, outputs: readonly Output[]) {
    this.#context = context;
    this.#outputs = outputs;
  }

  /** `data`: base64 of a piece of the output; "" ends it. */
  async take(position: number, data: string): Promise<void> {
    const output = this.#outputs[position];
    if (output === undefined) throw new NaruError("internal", "an output that nobody asked for");
    const writer = this.#writers.get(position) ?? (await this.#open(output));
    this.#writers.set(position, writer);
    if (data !== "") return await writer.write(Buffer.from(data, "base64"));
    await writer.end();
    this.#writers.delete(position);
  }

  /** Removes what was not ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const writer of this.#writers.values()) await writer.drop();
  }

  async #open(output: Output): Promise<Writer> {
    const { destination } = output;
    if (destination === undefined || destination === "-") return streamWriter(this.#context);
    return isDirectory(output) ? directoryWriter(destination) : await fileWriter(destination);
  }
}
