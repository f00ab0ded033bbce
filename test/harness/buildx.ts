/** buildx with the engine's own builder, under names of a check's own. */
import { buildxAt, hasBuildx } from "./buildx-client.ts";
import { type Check, check, docker, engine, skipOn } from "./check.ts";
import type { Output } from "./process.ts";

export { good } from "./buildx-client.ts";

export const buildx = (...args: string[]): Promise<Output> => buildxAt(engine.host, args);

/** A name that is gone when the check ends. */
export const imageName = (t: Check): string => {
  const name = `${t.name()}:1`;
  t.defer(() => docker(["rmi", "-f", name]));
  return name;
};

/** A check that needs buildx; left out where there is none. */
export const buildxCheck = (...[title, body, options = {}]: Parameters<typeof check>): void => {
  const skip = options.skip ?? skipOn("docker20", "buildx asks for a newer engine");
  if (hasBuildx) check(title, body, { ...options, skip });
};
