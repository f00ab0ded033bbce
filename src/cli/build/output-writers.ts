/** What comes back for `--output`, each to its place: a file, standard output, a directory. */
import type { CliContext } from "#cli/context.ts";
import type { Output } from "#cli/build/inputs.ts";
import { type PieceWriter, PieceWriters } from "#cli/build/piece-writers.ts";
import { unpackInto } from "#cli/build/unpack.ts";
import { fileWriter } from "#cli/terminal/save-stream.ts";
import { NaruError } from "#lib/errors.ts";

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
