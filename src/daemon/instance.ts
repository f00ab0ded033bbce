/** The instance id: six hex digits per data root, in the name of everything naru leaves on the host. */
import { existsSync, readFileSync } from "node:fs";
import { writeFileAtomic } from "#lib/atomic-file.ts";
import { randomHex } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";

const fileOf = (dataRoot: string): string => `${dataRoot}/instance`;

export const findInstance = (dataRoot: string): string | undefined => {
  const path = fileOf(dataRoot);
  if (!existsSync(path)) return undefined;
  const id = readFileSync(path, "utf8").trim();
  if (!/^[0-9a-f]{6}$/.test(id)) {
    throw new NaruError(
      "data_loss",
      `"${path}" does not hold an instance id: restore it, or run 'naru system reset'`,
    );
  }
  return id;
};

export const ensureInstance = (dataRoot: string): string => {
  const found = findInstance(dataRoot);
  if (found !== undefined) return found;
  const id = randomHex(3);
  writeFileAtomic(fileOf(dataRoot), `${id}\n`);
  return id;
};
