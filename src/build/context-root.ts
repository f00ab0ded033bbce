/** The directory that a context's files lie in. */
import { chmodSync, mkdirSync } from "node:fs";

/** Steps mount it as it is, for whatever user they run as; nobody else gets at it, as what it lies in is closed. */
export const makeContextRoot = (path: string): void => {
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o755);
};
