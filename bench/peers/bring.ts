/**
 * Brings Docker 28.5 of Debian unstable as a folder, as the peer of tests and benchmarks:
 * `bun bench/peers/bring.ts`. Needs mmdebstrap (or debootstrap) and Debian's mirror; about a minute.
 * Docker 20.10 is Debian 12's package docker.io: `apt-get install --no-install-recommends docker.io`.
 */
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";

import { hasDocker28, SID_ROOT } from "../../test/peer/docker.ts";

const PACKAGES =
  "docker.io,docker-cli,docker-buildx,docker-compose,iptables,containerd,runc,erofs-utils,ca-certificates,iproute2,procps,xz-utils";

if (hasDocker28()) {
  console.log(`${SID_ROOT} has it already`);
  process.exit(0);
}
mkdirSync(dirname(SID_ROOT), { recursive: true });
rmSync(SID_ROOT, { recursive: true, force: true });
const mmdebstrap = existsSync("/usr/bin/mmdebstrap");
const mirror = "http://deb.debian.org/debian";
const command = mmdebstrap
  ? [
      "mmdebstrap",
      "--variant=minbase",
      "--aptopt=Acquire::Languages none",
      // Snapshots of mirrors are old; their signatures are still checked.
      "--aptopt=Acquire::Check-Valid-Until false",
      `--include=${PACKAGES}`,
      "unstable",
      SID_ROOT,
      mirror,
    ]
  : ["debootstrap", "--variant=minbase", `--include=${PACKAGES}`, "unstable", SID_ROOT, mirror];
const child = Bun.spawn(command, { stdin: "ignore", stdout: "inherit", stderr: "inherit" });
if ((await child.exited) !== 0 || !hasDocker28()) {
  rmSync(SID_ROOT, { recursive: true, force: true });
  console.error("Docker 28.5 could not be brought; install mmdebstrap and look at its words above");
  process.exit(1);
}
console.log(SID_ROOT);
