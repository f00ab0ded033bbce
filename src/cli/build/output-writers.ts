/** What comes back for `--output`, each to its place: a file, standard output, a directory. */
import { open, rename, rm } from "node:fs/promises";
import type { CliContext } from "#cli/context.ts";
import type { Output } from "#cli/build/inputs.ts";
import { type PieceWriter, PieceWriters } from "#cli/build/piece-writers.ts";
import { unpackInto } from "#cli/build/unpack.ts";
import { NaruError } from "#lib/errors.ts";

/** The file appears under its name when it is complete. */
const fileWriter = async (path: string): Promise<PieceWriter> => {
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

const streamWriter = ({ output }: CliContext): PieceWriter => ({
  write: (data) => output.write("stdout", data),
  end: () => output.flush(),
  drop: async () => undefined,
});

const isDirectory = ({ type, attributes }: Output): boolean =>
  type === "local" || (type === "oci" && attributes["tar"] === "false");

/** By their place among the outputs. */
export const outputWriters = (context: CliContext, outputs: readonly Output[]): PieceWriters =>
  new PieceWriters(async (position) => {
    const output = outputs[position];
    if (output === undefined) throw new NaruError("internal", "an output that nobody asked for");
    const { destination } = output;
    if (destination === undefined || destination === "-") return streamWriter(context);
    if (!isDirectory(output)) return await fileWriter(destination);
    const failure = `could not unpack into "${destination}"`;
    return unpackInto(destination, { keepsModes: true, failure });
  });
