/** Volumes that need more of a file system or of the kernel than a development machine may have. */
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";

import { must, until } from "../../harness/process.ts";
import { alone, between, check, equal, ok } from "./check.ts";
import { NARU, naru } from "./engine.ts";

const MIB = 2 ** 20;
const HELLO = "naru/hello";

const cli = async (...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await naru(...args);
  if (code !== 0) throw new Error(`naru ${args.join(" ")}: exit ${code}: ${stderr}`);
  return stdout.trim();
};

/** Runs `script` in a container that has `volume` at /v: its output, both streams. */
const inside = async (flags: readonly string[], volume: string, script: string): Promise<string> =>
  cli(
    ...flags,
    "run",
    "--rm",
    "-v",
    `${volume}:/v`,
    HELLO,
    "sh",
    "-c",
    `exec 2>&1; ${script}; true`,
  );

/** A daemon whose data root is at `path`; `flags` lead the command line to it. */
const daemonAt = async (path: string) => {
  const host = "unix:///run/quota.sock";
  const start = async () => {
    const roots = ["--data-root", `${path}/data`, "--exec-root", "/run/quota"];
    const env = { ...process.env, BUN_BE_BUN: undefined, BUN_JSC_useJIT: undefined };
    const argv = [NARU, "daemon", "--host", host, ...roots];
    const child = Bun.spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "inherit", env });
    const { value } = await child.stdout.getReader().read();
    ok(new TextDecoder().decode(value).startsWith("ready"), "the second daemon is ready");
    return child;
  };
  let child = await start();
  return {
    flags: ["--host", host],
    restart: async (): Promise<void> => {
      child.kill("SIGKILL");
      await child.exited;
      child = await start();
    },
    end: async (): Promise<void> => {
      child.kill();
      await child.exited;
      await cli("system", "reset", "--force", "--data-root", `${path}/data`);
    },
  };
};

const quotaChecks = (): void => {
  alone("a volume of a limited size holds that much and no more, also after a kill", async () => {
    mkdirSync("/quota");
    await must(["mount", "-t", "ext4", "-o", "prjquota", "/dev/vdc", "/quota"]);
    const daemon = await daemonAt("/quota");
    const { flags } = daemon;
    const fill = "dd if=/dev/zero of=/v/f bs=1M count=24; sync; wc -c < /v/f";
    await cli(...flags, "volume", "create", "-o", "size=10m", "small");
    await cli(...flags, "volume", "create", "large");
    const [refused, written] = [/quota|No space/i, /(\d+)$/];
    const small = await inside(flags, "small", fill);
    ok(refused.test(small), `a write beyond the limit: ${small}`);
    between(Number(written.exec(small)?.[1]), 9 * MIB, 10 * MIB, "bytes in the limited volume");
    ok((await inside(flags, "large", fill)).endsWith(`${24 * MIB}`), "the other is not limited");
    await daemon.restart();
    const more = await inside(flags, "small", "echo more > /v/g; sync; wc -c < /v/g");
    ok(refused.test(more) || more.endsWith("0"), `after a kill: ${more}`);
    // A copy is counted on its own, with the same limit.
    await inside(flags, "small", "rm -f /v/f /v/g; dd if=/dev/zero of=/v/f bs=1M count=6");
    await cli(...flags, "volume", "clone", "small", "copy");
    const copy = await inside(flags, "copy", "dd if=/dev/zero of=/v/g bs=1M count=6");
    ok(refused.test(copy), `beyond the limit of the copy: ${copy}`);
    await cli(...flags, "volume", "rm", "small", "copy", "large");
    await daemon.end();
    const report = readFileSync("/proc/mounts", "utf8");
    equal(report.split("\n").filter((line) => line.includes(" /quota/")).length, 0, "mounts left");
    await must(["umount", "/quota"]);
  });

  check("where nothing is counted a size is refused, in Docker's words", async () => {
    const { code, stderr } = await naru("volume", "create", "-o", "size=10m", "vm-sized");
    equal(code, 1, "exit code");
    ok(stderr.includes("quota size requested but no quota support"), stderr);
    ok(stderr.includes("prjquota"), `the remedy: ${stderr}`);
  });
};

/** NFS version 4 alone: nothing to register, no port mapper. */
const serveNfs = async (folder: string): Promise<void> => {
  mkdirSync(folder, { recursive: true });
  for (const name of ["v4recovery", "sm", "rpc_pipefs"]) {
    mkdirSync(`/var/lib/nfs/${name}`, { recursive: true });
  }
  await must(["modprobe", "nfsd"]);
  await must(["mount", "-t", "nfsd", "nfsd", "/proc/fs/nfsd"]);
  for (const file of ["/var/lib/nfs/etab", "/etc/exports"]) writeFileSync(file, "");
  const options = "rw,no_root_squash,insecure,fsid=0,no_subtree_check";
  await must(["exportfs", "-o", options, `127.0.0.1:${folder}`]);
  await must(["sh", "-c", "rpc.mountd -N 2 -N 3 > /dev/null 2>&1"]);
  await must(["rpc.nfsd", "--no-nfs-version", "3", "--no-udp", "2"]);
  // No client of before a crash is waited for.
  writeFileSync("/proc/fs/nfsd/v4_end_grace", "Y");
};

const SMB_CONFIGURATION = `[global]
  server role = standalone server
  disable netbios = yes
  smb ports = 445
[share]
  path = /srv/smb
  read only = no
  valid users = ferry
  force user = root
`;

const serveSmb = async (): Promise<void> => {
  for (const folder of ["/srv/smb", "/etc/samba", "/var/lib/samba/private", "/var/log/samba"]) {
    mkdirSync(folder, { recursive: true });
  }
  writeFileSync("/etc/samba/smb.conf", SMB_CONFIGURATION);
  appendFileSync(
    "/etc/passwd",
    "ferry:x:1000:0:ferry:/:/bin/false\nnobody:x:65534:0::/:/bin/false\n",
  );
  await must(["sh", "-c", "printf 'rope\\nrope\\n' | smbpasswd -s -a ferry"]);
  // It goes on in the background, and would keep our pipes open.
  await must(["sh", "-c", "smbd --daemon > /dev/console 2>&1"]);
  await until("the server listens", async () => isListening(445), 60_000, 100);
};

/** The kernel's table of TCP sockets: local address, and 0A for one that listens (proc(5)). */
const isListening = (port: number): boolean =>
  ["/proc/net/tcp", "/proc/net/tcp6"].some((file) =>
    new RegExp(`:${port.toString(16).toUpperCase().padStart(4, "0")} [\\dA-F]+:0000 0A`).test(
      readFileSync(file, "utf8"),
    ),
  );

const isMounted = (type: string): boolean =>
  readFileSync("/proc/mounts", "utf8").includes(` ${type} `);

/** Written through a container, found on the server, seen by the next container; mounted only while one runs. */
const tryVolume = async (name: string, folder: string, type: string): Promise<void> => {
  await inside([], name, "echo ashore > /v/file");
  equal(readFileSync(`${folder}/file`, "utf8"), "ashore\n", "the file at the server");
  equal(await inside([], name, "cat /v/file"), "ashore", "the file in the next container");
  await until("it is unmounted", async () => !isMounted(type), 10_000, 100);
  await cli("volume", "rm", name);
  equal(readFileSync(`${folder}/file`, "utf8"), "ashore\n", "the file outlives the volume");
};

const networkChecks = (): void => {
  alone("a volume of NFS", async () => {
    await serveNfs("/srv/nfs");
    const options = ["type=nfs", "o=addr=localhost,rw,vers=4.2", "device=:/"];
    await cli("volume", "create", ...options.flatMap((option) => ["-o", option]), "vm-nfs");
    await tryVolume("vm-nfs", "/srv/nfs", "nfs4");
    await must(["rpc.nfsd", "0"]);
    await must(["pkill", "rpc.mountd"]);
    await must(["umount", "/proc/fs/nfsd"]);
  });

  alone("a volume of SMB", async () => {
    await serveSmb();
    const o = "addr=localhost,username=ferry,password=rope,vers=3.1.1";
    const options = ["type=cifs", `o=${o}`, "device=//localhost/share"];
    await cli("volume", "create", ...options.flatMap((option) => ["-o", option]), "vm-smb");
    await tryVolume("vm-smb", "/srv/smb", "cifs");
    const wrong = ["type=cifs", `o=${o.replace("rope", "wrong")}`, "device=//localhost/share"];
    await cli("volume", "create", ...wrong.flatMap((option) => ["-o", option]), "vm-wrong");
    const refused = await naru("run", "--rm", "-v", "vm-wrong:/v", HELLO, "true");
    ok(refused.stderr.includes("permission denied"), `a wrong password: ${refused.stderr}`);
    ok(!refused.stderr.includes("wrong,"), `no password in the error: ${refused.stderr}`);
    await cli("volume", "rm", "vm-wrong");
    await must(["pkill", "smbd"]);
  });
};

export const volumeChecks = (): void => {
  quotaChecks();
  networkChecks();
};
