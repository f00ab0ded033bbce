/** Floors: the same work by the OCI runtime alone, with a bundle of our own. */
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";

import { timed } from "./figures.ts";
import { busyboxRoot } from "../test/harness/images.ts";
import { must, run } from "../test/harness/process.ts";
import { writeTar } from "../test/harness/tar.ts";

const runtime = (): string => {
  const found = ["/usr/bin/crun", "/usr/sbin/runc", "/usr/bin/runc"].find((p) => existsSync(p));
  if (found === undefined) throw new Error("no OCI runtime for the floor: apt-get install crun");
  return found;
};

const config = (args: readonly string[]): unknown => ({
  ociVersion: "1.0.2",
  process: {
    user: { uid: 0, gid: 0 },
    args,
    env: ["PATH=/bin"],
    cwd: "/",
    noNewPrivileges: true,
    capabilities: { bounding: [], effective: [], permitted: [] },
  },
  root: { path: "rootfs", readonly: true },
  hostname: "floor",
  mounts: [
    { destination: "/proc", type: "proc", source: "proc" },
    { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
  ],
  linux: {
    namespaces: ["pid", "ipc", "uts", "mount", "network"].map((type) => ({ type })),
  },
});

/** A bundle folder with the test root and a command; the caller removes it. */
export const makeBundle = async (
  args: readonly string[] = ["/bin/echo", "hello"],
): Promise<string> => {
  const bundle = mkdtempSync("/tmp/naru-bench-bundle-");
  mkdirSync(`${bundle}/rootfs`);
  await must(["tar", "-x", "-C", `${bundle}/rootfs`], { stdin: writeTar(await busyboxRoot()) });
  writeFileSync(`${bundle}/config.json`, JSON.stringify(config(args)));
  return bundle;
};

let counter = 0;
const name = (): string => `naru-bench-${process.pid}-${(counter += 1)}`;

/** One `crun run` to its end, in milliseconds. */
export const rawRun = (bundle: string): Promise<number> =>
  timed(async () => {
    const out = await run([runtime(), "run", "--bundle", bundle, name()]);
    if (out.stdout !== "hello\n") throw new Error(`floor: ${out.code} ${out.stderr}`);
  });

/** A running container to `crun exec` in; `stop` removes it. */
export const rawExec = async (
  bundle: string,
): Promise<{ exec(): Promise<number>; stop(): Promise<void> }> => {
  const id = name();
  // No pipes: the container inherits them, and reading one would wait for its end.
  const made = Bun.spawn([runtime(), "create", "--bundle", bundle, id], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  if ((await made.exited) !== 0) throw new Error(`floor: ${runtime()} create failed`);
  await must([runtime(), "start", id]);
  return {
    exec: () => timed(() => must([runtime(), "exec", id, "/bin/true"])),
    stop: async () => {
      await run([runtime(), "delete", "--force", id]);
    },
  };
};
