/** The client the tests and benchmarks drive. */
import { existsSync } from "node:fs";

/** `E2E_CLIENT`, else the upstream client, else the distribution's. */
export const clientBinary = (): string => {
  const given = process.env["E2E_CLIENT"];
  if (given !== undefined) return given;
  const found = ["/usr/local/bin/docker", "/usr/bin/docker"].find((path) => existsSync(path));
  if (found === undefined) throw new Error("no docker client: apt-get install docker.io");
  return found;
};
