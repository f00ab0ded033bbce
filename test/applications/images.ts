/** The images of the projects: a bootstrapped Debian and servers of its packages, in one archive. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";

import { naruBinary, newRoots, spawnNaru, stopNaru } from "../harness/naru.ts";
import { must, run } from "../harness/process.ts";

const FOLDER = `${import.meta.dir}/images`;
const BASE = "debian:bookworm";
const TARGETS = ["nginx", "postgres", "redis", "rabbitmq", "mariadb", "node", "python"];

/** Changes with what the images are made of. */
const version = (): string => {
  const hash = createHash("sha256");
  for (const name of readdirSync(FOLDER).toSorted()) hash.update(readFileSync(`${FOLDER}/${name}`));
  return hash.digest("hex").slice(0, 12);
};

/**
 * Builds them on a daemon of its own that reaches the package mirror: those of the tests live in
 * worlds without a way out. The daemon and its roots are gone afterwards.
 */
const build = async (archive: string): Promise<void> => {
  const roots = newRoots("/tmp/naru-applications-images-");
  const daemon = await spawnNaru(roots);
  const naru = (...args: string[]): Promise<string> =>
    must([naruBinary(), ...args], {
      env: { NARU_HOST: `unix://${roots.socketPath}` },
      timeoutMs: 1_500_000,
    });
  try {
    await naru("image", "bootstrap", "--quiet", BASE);
    await Promise.all(
      TARGETS.map((name) => naru("build", "-q", "--target", name, "-t", `apps/${name}`, FOLDER)),
    );
    await naru("save", "-o", archive, BASE, ...TARGETS.map((name) => `apps/${name}`));
  } finally {
    await stopNaru(daemon);
    const flags = ["--data-root", roots.dataRoot, "--exec-root", roots.execRoot];
    await must([naruBinary(), "system", "reset", "--force", ...flags]);
    await run(["rm", "-rf", roots.base]);
  }
};

/**
 * The archive in `folder`; `APPLICATIONS_CACHE` names a folder in which it outlives the run, so that
 * the next one does not ask the package mirror again.
 */
export const imageArchive = async (folder: string): Promise<string> => {
  const cache = process.env["APPLICATIONS_CACHE"];
  const home = cache ?? folder;
  const archive = `${home}/images-${version()}.tar`;
  if (existsSync(archive)) return archive;
  mkdirSync(home, { recursive: true });
  const half = `${archive}.${process.pid}`;
  await build(half);
  renameSync(half, archive);
  return archive;
};
