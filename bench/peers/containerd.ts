/** containerd of Debian unstable with its EROFS snapshotter: layers become files that are mounted, as naru's do. */
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";

import { isolate } from "../../test/harness/isolation.ts";
import { run, until, type Output } from "../../test/harness/process.ts";
import { SID_ROOT } from "../../test/peer/docker.ts";

export interface Containerd {
  /** argv in front of what shall run on its network. */
  readonly enter: readonly string[];
  pull(reference: string): Promise<Output>;
  stop(): Promise<void>;
}

export const hasContainerd = (): boolean =>
  existsSync(`${SID_ROOT}/usr/bin/ctr`) && existsSync(`${SID_ROOT}/usr/bin/mkfs.erofs`);

const configOf = (base: string): string => `version = 3
root = "${base}/root"
state = "${base}/state"
[grpc]
  address = "${base}/containerd.sock"
[plugins."io.containerd.service.v1.diff-service"]
  default = ["erofs", "walking"]
[[plugins."io.containerd.transfer.v1.local".unpack_config]]
  platform = "linux/amd64"
  snapshotter = "erofs"
  differ = "erofs"
`;

/** Undo: `stop`. */
export const startContainerd = async (): Promise<Containerd> => {
  mkdirSync("/var/tmp/naru-peers", { recursive: true });
  const base = mkdtempSync("/var/tmp/naru-peers/containerd-");
  const world = await isolate({ root: SID_ROOT, binds: [base] });
  writeFileSync(`${base}/config.toml`, configOf(base));
  const log = Bun.file(`${base}/containerd.log`);
  const child = Bun.spawn([...world.enter, "/usr/bin/containerd", "-c", `${base}/config.toml`], {
    stdin: "ignore",
    stdout: log,
    stderr: log,
  });
  const ctr = (...args: string[]): Promise<Output> =>
    run([...world.enter, "/usr/bin/ctr", "-a", `${base}/containerd.sock`, ...args], {
      timeoutMs: 300_000,
    });
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await Promise.race([child.exited, Bun.sleep(10_000)]);
    child.kill("SIGKILL");
    await world.stop();
    await run(["rm", "-rf", base]);
  };
  try {
    await until(
      `containerd to answer (log: ${base}/containerd.log)`,
      async () => (await ctr("version")).code === 0,
      20_000,
      50,
    );
    const plugins = await ctr("plugins", "ls");
    if (!/snapshotter\S*\s+erofs\s.*\bok\b/.test(plugins.stdout)) {
      throw new Error(`containerd has no EROFS snapshotter here: ${await log.text()}`);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    enter: world.enter.filter((word) => word !== "-m"),
    pull: async (reference) => {
      const out = await ctr("images", "pull", "--plain-http", "--snapshotter", "erofs", reference);
      if (out.code !== 0) throw new Error(`ctr: ${out.stdout}${out.stderr}`);
      return out;
    },
    stop,
  };
};
