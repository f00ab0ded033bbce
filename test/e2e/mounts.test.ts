/** Bind mounts, tmpfs and the files the engine puts into every container. */
import { expect } from "bun:test";
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";

import {
  BUSYBOX,
  check,
  needsAllCapabilities,
  docker,
  dockerOk,
  inspect,
  onHost,
  sh,
  shOk,
  skipOn,
} from "../harness/check.ts";

interface Mount {
  readonly Type: string;
  readonly Source: string;
  readonly Destination: string;
  readonly RW: boolean;
  readonly Mode: string;
  readonly Propagation: string;
}

const mountsOf = async (name: string): Promise<readonly Mount[]> =>
  (await inspect<{ Mounts: Mount[] }>(name)).Mounts;

check("-v: both sides see each other's files", async (t) => {
  const dir = t.folder();
  writeFileSync(`${dir}/in`, "from host");
  expect(await shOk(["-v", `${dir}:/mnt`], "cat /mnt/in; echo from container > /mnt/out")).toBe(
    "from host",
  );
  expect(readFileSync(`${dir}/out`, "utf8")).toBe("from container\n");
});

check("a mount over /etc does not hide hosts, hostname and resolv.conf", async (t) => {
  const dir = t.folder();
  writeFileSync(`${dir}/own`, "mine");
  const lines = (
    await shOk(
      ["-v", `${dir}:/etc`, "--hostname", "here"],
      "cat /etc/own; echo; cat /etc/hostname; grep -c here /etc/hosts; grep -c nameserver /etc/resolv.conf",
    )
  ).split("\n");
  expect(lines.slice(0, 3)).toEqual(["mine", "here", "1"]);
  expect(Number(lines[3])).toBeGreaterThan(0);
});

check("-v :ro of a file", async (t) => {
  const dir = t.folder();
  writeFileSync(`${dir}/one`, "one");
  const out = await sh(["-v", `${dir}/one:/mnt/f:ro`], "cat /mnt/f; echo x > /mnt/f");
  expect(out.stdout).toBe("one");
  expect(out.stderr).toMatch(/[Rr]ead-only/);
});

check("-v :ro", async (t) => {
  const dir = t.folder();
  const out = await sh(["-v", `${dir}:/mnt:ro`], "echo x > /mnt/f");
  expect(out.stderr).toMatch(/Read-only file system/i);
  expect(existsSync(`${dir}/f`)).toBe(false);
});

check("-v of one file", async (t) => {
  const file = `${t.folder()}/f`;
  writeFileSync(file, "content");
  expect(await shOk(["-v", `${file}:/etc/one`], "cat /etc/one; echo more >> /etc/one")).toBe(
    "content",
  );
  expect(readFileSync(file, "utf8")).toBe("contentmore\n");
});

check("-v with a missing source makes the folder", async (t) => {
  const dir = `${t.folder()}/not/yet`;
  await shOk(["-v", `${dir}:/mnt`], "touch /mnt/f");
  expect(statSync(dir).isDirectory()).toBe(true);
  expect(existsSync(`${dir}/f`)).toBe(true);
});

check(
  "--mount type=image of an image that is not here is refused when it is asked for",
  async (t) => {
    const name = t.name();
    const mount = "type=image,src=e2e/nosuch,dst=/mnt";
    const out = await docker(["create", "--name", name, "--mount", mount, BUSYBOX, "true"]);
    expect([out.code, out.stderr]).toEqual([1, expect.stringMatching(/e2e\/nosuch/)]);
  },
);

check("--mount type=bind with a missing source is refused", async (t) => {
  const dir = `${t.folder()}/missing`;
  const out = await docker([
    "run",
    "--rm",
    "--mount",
    `type=bind,src=${dir},dst=/mnt`,
    BUSYBOX,
    "true",
  ]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/bind source path does not exist/i);
  expect(existsSync(dir)).toBe(false);
});

check("--mount type=bind, readonly", async (t) => {
  const dir = t.folder();
  const out = await sh(["--mount", `type=bind,source=${dir},target=/mnt,readonly`], "touch /mnt/f");
  expect(out.stderr).toMatch(/Read-only file system/i);
});

check("a relative target is refused", async (t) => {
  const out = await docker(["run", "--rm", "-v", `${t.folder()}:relative`, BUSYBOX, "true"]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/absolute/i);
});

check("a target of / is refused", async (t) => {
  const out = await docker(["run", "--rm", "-v", `${t.folder()}:/`, BUSYBOX, "true"]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/can't be '\/'|can not be '\/'/i);
});

check("the same target twice is refused", async (t) => {
  const [one, two] = [t.folder(), t.folder()];
  const out = await docker(["run", "--rm", "-v", `${one}:/m`, "-v", `${two}:/m`, BUSYBOX, "true"]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/Duplicate mount point/i);
});

check("a nested target works in any order", async (t) => {
  const [outer, inner] = [t.folder(), t.folder()];
  writeFileSync(`${inner}/f`, "inner");
  expect(await shOk(["-v", `${inner}:/a/b/c`, "-v", `${outer}:/a`], "cat /a/b/c/f")).toBe("inner");
});

check("a target that is not in the image is made", async (t) => {
  expect(await shOk(["-v", `${t.folder()}:/new/deep/path`], "stat -c %F /new/deep/path")).toBe(
    "directory",
  );
});

check("a source that is a symlink is followed", async (t) => {
  const dir = t.folder();
  mkdirSync(`${dir}/real`);
  writeFileSync(`${dir}/real/f`, "x");
  symlinkSync("real", `${dir}/link`);
  expect(await shOk(["-v", `${dir}/link:/mnt`], "cat /mnt/f")).toBe("x");
});

check("a target through a symlink of the image stays inside the container", async (t) => {
  const dir = t.folder();
  const name = `${t.name()}:1`;
  t.defer(() => docker(["rmi", "-f", name]));
  const maker = await t.create(BUSYBOX, "ln", "-s", "/../../../../tmp", "/escape");
  await dockerOk("start", "-a", maker);
  await dockerOk("commit", maker, name);
  const out = await docker([
    "run",
    "--rm",
    "-v",
    `${dir}:/escape/e2e-mnt`,
    name,
    "ls",
    "-d",
    "/tmp/e2e-mnt",
  ]);
  expect(out.stdout.trim()).toBe("/tmp/e2e-mnt");
  expect(existsSync("/tmp/e2e-mnt")).toBe(false);
});

check("inspect shows a bind", async (t) => {
  const dir = t.folder();
  const name = await t.create("-v", `${dir}:/mnt:ro`, BUSYBOX, "true");
  expect(await mountsOf(name)).toEqual([
    {
      Type: "bind",
      Source: dir,
      Destination: "/mnt",
      Mode: "ro",
      RW: false,
      Propagation: "rprivate",
    },
  ]);
  expect(await dockerOk("inspect", "--format", "{{json .HostConfig.Binds}}", name)).toBe(
    JSON.stringify([`${dir}:/mnt:ro`]),
  );
});

check(
  "propagation rshared: a mount made inside is seen outside",
  async (t) => {
    const dir = t.folder();
    t.defer(() => onHost("umount", `${dir}/m`).catch(() => ""));
    await shOk(
      ["--privileged", "-v", `${dir}:/mnt:rshared`],
      "mkdir /mnt/m && mount -t tmpfs tmpfs /mnt/m && touch /mnt/m/inside",
    );
    expect(await onHost("ls", `${dir}/m`)).toBe("inside");
  },
  { skip: needsAllCapabilities },
);

check("propagation rslave: a mount made outside later is seen inside", async (t) => {
  const dir = t.folder();
  mkdirSync(`${dir}/m`);
  const name = await t.idle("-v", `${dir}:/mnt:rslave`);
  t.defer(() => onHost("umount", `${dir}/m`).catch(() => ""));
  await onHost("mount", "-t", "tmpfs", "tmpfs", `${dir}/m`);
  await onHost("touch", `${dir}/m/outside`);
  expect(await dockerOk("exec", name, "ls", "/mnt/m")).toBe("outside");
});

check("propagation is private by default: a mount made outside later is not seen", async (t) => {
  const dir = t.folder();
  mkdirSync(`${dir}/m`);
  const name = await t.idle("-v", `${dir}:/mnt`);
  t.defer(() => onHost("umount", `${dir}/m`).catch(() => ""));
  await onHost("mount", "-t", "tmpfs", "tmpfs", `${dir}/m`);
  await onHost("touch", `${dir}/m/outside`);
  expect(await dockerOk("exec", name, "ls", "/mnt/m")).toBe("");
});

check("a bind takes mounts below it along", async (t) => {
  const dir = t.folder();
  mkdirSync(`${dir}/m`);
  await onHost("mount", "-t", "tmpfs", "tmpfs", `${dir}/m`);
  t.defer(() => onHost("umount", `${dir}/m`).catch(() => ""));
  await onHost("touch", `${dir}/m/below`);
  expect(await shOk(["-v", `${dir}:/mnt`], "ls /mnt/m")).toBe("below");
});

check("bind-nonrecursive does not", async (t) => {
  const dir = t.folder();
  mkdirSync(`${dir}/m`);
  await onHost("mount", "-t", "tmpfs", "tmpfs", `${dir}/m`);
  t.defer(() => onHost("umount", `${dir}/m`).catch(() => ""));
  await onHost("touch", `${dir}/m/below`);
  const mount = `type=bind,src=${dir},dst=/mnt,bind-nonrecursive=true`;
  expect(await shOk(["--mount", mount], "ls /mnt/m")).toBe("");
});

check(
  "a read-only bind is read-only below as well",
  async (t) => {
    const dir = t.folder();
    mkdirSync(`${dir}/m`);
    await onHost("mount", "-t", "tmpfs", "tmpfs", `${dir}/m`);
    t.defer(() => onHost("umount", `${dir}/m`).catch(() => ""));
    const out = await sh(["-v", `${dir}:/mnt:ro`], "touch /mnt/m/f");
    expect(out.stderr).toMatch(/Read-only file system/i);
  },
  { skip: skipOn("docker20", "recursive read-only came with 25.0") },
);

check("--tmpfs with options", async () => {
  const out = await shOk(
    ["--tmpfs", "/t:size=1m,mode=1770,uid=5,noexec"],
    "stat -c '%a %u' /t; df -k /t | tail -1 | awk '{print $2}'; grep ' /t ' /proc/mounts",
  );
  expect(out).toMatch(/^1770 5\n1024\n/);
  expect(out).toContain("noexec");
});

check("--tmpfs defaults: 1777, nosuid, nodev, noexec", async () => {
  const out = await shOk(["--tmpfs", "/t"], "stat -c %a /t; grep ' /t ' /proc/mounts");
  expect(out).toMatch(/^1777\n/);
  for (const flag of ["nosuid", "nodev", "noexec", "rw"]) expect(out).toContain(flag);
});

check("--mount type=tmpfs with size and mode", async () => {
  const mount = "type=tmpfs,dst=/t,tmpfs-size=2m,tmpfs-mode=0700";
  expect(
    await shOk(["--mount", mount], "stat -c %a /t; df -k /t | tail -1 | awk '{print $2}'"),
  ).toBe("700\n2048");
});

check("a tmpfs is empty again at the next start", async (t) => {
  const name = await t.create("--tmpfs", "/t", BUSYBOX, "sh", "-c", "ls /t; touch /t/f");
  await docker(["start", "-a", name]);
  expect((await docker(["start", "-a", name])).stdout).toBe("");
});

check("/etc/hosts has localhost, the own address and --add-host", async () => {
  const out = await shOk(
    ["-h", "me", "--add-host", "other:10.9.8.7"],
    "cat /etc/hosts; ip -4 -o addr show eth0",
  );
  expect(out).toMatch(/^127\.0\.0\.1\s+localhost/m);
  expect(out).toMatch(/^10\.9\.8\.7\s+other$/m);
  const own = /inet (\d+\.\d+\.\d+\.\d+)/.exec(out)?.[1] ?? "none";
  expect(out).toMatch(new RegExp(`^${own.replaceAll(".", "\\.")}\\s+me$`, "m"));
});

check("--add-host host-gateway is the gateway's address", async () => {
  const out = await shOk(
    ["--add-host", "gw:host-gateway"],
    "grep -w gw /etc/hosts | awk '{print $1}'; ip route | awk '/default/{print $3}'",
  );
  const [address, route] = out.split("\n");
  expect(address).toBe(route ?? "");
});

check("an invalid --add-host is refused", async () => {
  const out = await docker(["run", "--rm", "--add-host", "nonsense", BUSYBOX, "true"]);
  expect(out.code).toBe(125);
});

check("--dns, --dns-search and --dns-option are in resolv.conf", async () => {
  const options = [
    "--dns",
    "10.1.2.3",
    "--dns",
    "10.1.2.4",
    "--dns-search",
    "a.test",
    "--dns-option",
    "ndots:3",
  ];
  const out = await shOk(options, "cat /etc/resolv.conf");
  expect(out).toMatch(/^nameserver 10\.1\.2\.3$/m);
  expect(out).toMatch(/^nameserver 10\.1\.2\.4$/m);
  expect(out).toMatch(/^search a\.test$/m);
  expect(out).toMatch(/^options .*ndots:3/m);
});

check("--dns that is no address is refused", async () => {
  const out = await docker(["run", "--rm", "--dns", "not-an-ip", BUSYBOX, "true"]);
  expect(out.code).toBe(125);
});

check("resolv.conf is there without options", async () => {
  expect(await shOk([], "cat /etc/resolv.conf")).toMatch(/^nameserver /m);
});

check("hosts, hostname and resolv.conf are single mounts, named in inspect", async (t) => {
  const name = await t.idle();
  const mounts = await dockerOk("exec", name, "cat", "/proc/mounts");
  for (const file of ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"]) {
    expect(mounts).toContain(` ${file} `);
  }
  const paths =
    await inspect<Record<"HostsPath" | "HostnamePath" | "ResolvConfPath", string>>(name);
  expect(paths.HostsPath).toMatch(/hosts$/);
  expect(paths.HostnamePath).toMatch(/hostname$/);
  expect(paths.ResolvConfPath).toMatch(/resolv\.conf$/);
});

check("/etc/hosts can be replaced by a bind", async (t) => {
  const file = `${t.folder()}/hosts`;
  writeFileSync(file, "1.2.3.4 mine\n");
  expect(await shOk(["-v", `${file}:/etc/hosts`], "cat /etc/hosts")).toBe("1.2.3.4 mine");
});

check(
  "changes of /etc/hosts last through a restart or are made anew, never lost half",
  async (t) => {
    const name = await t.idle("--add-host", "fixed:10.0.0.9");
    await dockerOk("restart", "-t", "0", name);
    expect(await dockerOk("exec", name, "cat", "/etc/hosts")).toMatch(/10\.0\.0\.9\s+fixed/);
  },
);

check("an unknown --mount option is refused", async () => {
  const out = await docker([
    "run",
    "--rm",
    "--mount",
    "type=bind,src=/tmp,dst=/m,nonsense=1",
    BUSYBOX,
    "true",
  ]);
  expect(out.code).toBe(125);
});
