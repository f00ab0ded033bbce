/** An image whose program is the frontend of frontend-program.ts, run by the runtime inside the binary under test. */
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";

import { dockerOk, run } from "./check.ts";
import { must } from "./process.ts";

const DIST = resolve(import.meta.dir, "../../dist");

/** What the binary loads, as paths below the root. */
const libraries = async (): Promise<readonly string[]> => {
  const { stdout } = await run(["ldd", `${DIST}/naru`]);
  return [...new Set([...stdout.matchAll(/\/(\S+\.so\S*)/g)].flatMap(([, path]) => path ?? []))];
};

const programText = async (): Promise<string> => {
  const built = await Bun.build({
    entrypoints: [`${import.meta.dir}/frontend-program.ts`],
    target: "bun",
  });
  const [text] = await Promise.all(built.outputs.map((output) => output.text()));
  if (text === undefined) throw new Error("the frontend's program did not compile");
  return text;
};

/** Makes the image in `folder`. It says that it wants no network. */
export const loadFrontend = async (name: string, folder: string): Promise<void> => {
  mkdirSync(`${folder}/tmp`);
  await Bun.write(`${folder}/frontend.js`, await programText());
  const program = ["-C", folder, "frontend.js", "tmp", "-C", "/", ...(await libraries())];
  const runtime = ["-C", DIST, "--transform=s,^naru$,runtime,", "naru"];
  await must(["tar", "-chf", `${folder}/root.tar`, ...program, ...runtime]);
  const changes = [
    "ENV BUN_BE_BUN=1",
    'ENTRYPOINT ["/runtime", "/frontend.js"]',
    'LABEL moby.buildkit.frontend.network.none="true"',
  ].flatMap((change) => ["--change", change]);
  await dockerOk("import", ...changes, `${folder}/root.tar`, name);
};
