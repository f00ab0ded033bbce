/** What a container's process sees of its configuration: environment, user, folders, names. */
import { expect } from "bun:test";
import { writeFileSync } from "node:fs";

import {
  api,
  BUSYBOX,
  FULL,
  check,
  docker,
  dockerOk,
  inspect,
  shOk,
  skipOn,
  until,
} from "../harness/check.ts";

check("-e sets, -e NAME passes the client's, and a missing one is left out", async () => {
  const out = await docker(
    ["run", "--rm", "-e", "A=1", "-e", "PASSED", "-e", "NOT_SET_HERE", BUSYBOX, "env"],
    { env: { PASSED: "from client" } },
  );
  const lines = out.stdout.split("\n");
  expect(lines).toContain("A=1");
  expect(lines).toContain("PASSED=from client");
  expect(out.stdout).not.toContain("NOT_SET_HERE");
});

check("the default environment is PATH, HOSTNAME and HOME", async () => {
  const env = await shOk(["--hostname", "h1"], "env | sort");
  expect(env).toContain("HOME=/root");
  expect(env).toContain("HOSTNAME=h1");
  expect(env).toContain("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
});

check("-e values keep spaces, quotes, equal signs and UTF-8", async () => {
  const value = `a b "c" 'd' = é 나루 $X`;
  const out = await docker(["run", "--rm", "-e", `V=${value}`, BUSYBOX, "sh", "-c", 'echo "$V"']);
  expect(out.stdout).toBe(`${value}\n`);
});

check("--env-file: values, comments, names alone", async (t) => {
  const file = `${t.folder()}/env`;
  writeFileSync(file, "# comment\nONE=1\nTWO=two words\nFROM_CLIENT\n\n");
  const out = await docker(["run", "--rm", "--env-file", file, BUSYBOX, "env"], {
    env: { FROM_CLIENT: "yes" },
  });
  for (const line of ["ONE=1", "TWO=two words", "FROM_CLIENT=yes"]) {
    expect(out.stdout.split("\n")).toContain(line);
  }
});

check("-e wins over --env-file and the image", async (t) => {
  const file = `${t.folder()}/env`;
  writeFileSync(file, "FROM_IMAGE=file\nX=file\n");
  const args = ["--env-file", file, "-e", "X=flag", "--entrypoint", "env", FULL];
  const env = (await dockerOk("run", "--rm", ...args)).split("\n");
  expect(env).toContain("FROM_IMAGE=file");
  expect(env).toContain("X=flag");
});

check("a missing --env-file is an error", async () => {
  const out = await docker(["run", "--rm", "--env-file", "/no/such/file", BUSYBOX, "true"]);
  expect(out.code).toBe(125);
});

check("-w makes the folder and starts in it", async () => {
  expect(await shOk(["-w", "/deep/er"], "pwd; stat -c %U .")).toBe("/deep/er\nroot");
});

check("a relative -w is refused", async () => {
  const out = await docker(["run", "--rm", "-w", "relative", BUSYBOX, "pwd"]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/needs to be an absolute path|must be absolute/i);
});

check("-u with a number", async () => {
  expect(await shOk(["-u", "1234"], "id -u; id -g")).toBe("1234\n0");
});

check("-u with number and group", async () => {
  expect(await shOk(["-u", "1234:77"], "id -u; id -g")).toBe("1234\n77");
});

check("-u with a name takes uid, gid, groups and HOME of the image's files", async () => {
  expect(await shOk(["-u", "user"], "id -u; id -g; id -G; echo $HOME")).toBe(
    "1000\n1000\n1000 50\n/home/user",
  );
});

check("-u NAME:GROUP", async () => {
  expect(await shOk(["-u", "user:audio"], "id -u; id -g")).toBe("1000\n29");
});

check("-u with an unknown name is refused", async () => {
  const out = await docker(["run", "--rm", "-u", "nobody-here", BUSYBOX, "true"]);
  expect([125, 126]).toContain(out.code);
  expect(out.stderr).toMatch(/unable to find user nobody-here|no matching entries/i);
});

check("-u with an unknown group is refused", async () => {
  const out = await docker(["run", "--rm", "-u", "user:nogroup-here", BUSYBOX, "true"]);
  expect([125, 126]).toContain(out.code);
  expect(out.stderr).toMatch(/unable to find group|no matching entries/i);
});

check("--group-add by name and number", async () => {
  const groups = await shOk(["-u", "1000", "--group-add", "audio", "--group-add", "777"], "id -G");
  expect(groups.split(" ")).toEqual(expect.arrayContaining(["29", "777"]));
});

check("--entrypoint replaces the image's and drops its CMD", async () => {
  const out = await docker(["run", "--rm", "--entrypoint", "echo", FULL, "own"]);
  expect(out.stdout).toBe("own\n");
  const bare = await docker(["run", "--rm", "--entrypoint", "pwd", FULL]);
  expect(bare.stdout).toBe("/work/dir\n");
});

check("--entrypoint '' clears it", async () => {
  const out = await docker(["run", "--rm", "--entrypoint", "", FULL, "echo", "cleared"]);
  expect(out.stdout).toBe("cleared\n");
});

check("the image's ENTRYPOINT gets its CMD, or the given words", async () => {
  const given = await docker(["run", "--rm", FULL, "echo", "x"]);
  expect(given.stdout).toBe("entry: echo x\nx\n");
  const plain = await docker(["run", "--rm", FULL]);
  expect(plain.stdout).toContain("entry: default words");
  expect(plain.code).toBe(127);
});

check("the image's USER, WORKDIR and ENV are used", async () => {
  const out = await dockerOk(
    "run",
    "--rm",
    FULL,
    "sh",
    "-c",
    "id -u; id -g; pwd; echo $FROM_IMAGE",
  );
  expect(out).toContain("1000\n50\n/work/dir\nyes");
});

check("a whiteout of the image hides the lower file", async () => {
  const out = await docker(["run", "--rm", "--entrypoint", "cat", FULL, "/etc/marker"]);
  expect(out.code).toBe(1);
  expect((await docker(["run", "--rm", BUSYBOX, "cat", "/etc/marker"])).stdout).toBe(
    "from the image\n",
  );
});

check("-h sets hostname, HOSTNAME and /etc/hosts", async () => {
  const out = await shOk(["-h", "my-host"], "hostname; echo $HOSTNAME; grep my-host /etc/hosts");
  expect(out).toMatch(/^my-host\nmy-host\n\S+\s+my-host/);
});

check("the default hostname is the short id", async (t) => {
  const name = await t.idle();
  const id = await dockerOk("inspect", "--format", "{{.Id}}", name);
  expect(await dockerOk("exec", name, "hostname")).toBe(id.slice(0, 12));
});

check("--domainname", async () => {
  const out = await shOk(
    ["-h", "h", "--domainname", "example.test"],
    "cat /proc/sys/kernel/domainname; grep h.example.test /etc/hosts",
  );
  expect(out).toMatch(/^example\.test\n\S+\s+h\.example\.test\s+h$/);
});

check("a hostname with a dot", async () => {
  expect(await shOk(["-h", "web.example.test"], "hostname")).toBe("web.example.test");
});

check("labels: -l, --label-file and the image's", async (t) => {
  const file = `${t.folder()}/labels`;
  writeFileSync(file, "# c\nfrom.file=yes\n");
  const name = await t.create(
    "-l",
    "own=1",
    "-l",
    "e2e.second=changed",
    "--label-file",
    file,
    FULL,
  );
  const { Config } = await inspect<{ Config: { Labels: Record<string, string> } }>(name);
  expect(Config.Labels).toEqual({
    own: "1",
    "e2e.role": "full",
    "e2e.second": "changed",
    "from.file": "yes",
  });
});

check(
  "--annotation is kept",
  async (t) => {
    const name = await t.create("--annotation", "e2e.note=x", BUSYBOX, "true");
    const { HostConfig } = await inspect<{ HostConfig: { Annotations: unknown } }>(name);
    expect(HostConfig.Annotations).toEqual({ "e2e.note": "x" });
  },
  { skip: skipOn("docker20", "annotations came with API 1.43") },
);

check("an empty HOME is the user's own", async () => {
  expect(await shOk(["-e", "HOME="], "env | grep ^HOME=")).toBe("HOME=/root");
  expect(await shOk(["-e", "HOME=/x"], "env | grep ^HOME=")).toBe("HOME=/x");
});

check("--init: process 1 is an init and the command is its child", async () => {
  const out = await shOk(["--init"], "tr '\\0' ' ' < /proc/1/cmdline; echo; ps -o pid,args");
  expect(out.split("\n")[0]).toMatch(/init|tini|catatonit/);
});

check("--init reaps orphans", async () => {
  // An orphan that nobody reaps stays a zombie, and the loop never ends.
  const isThere = "ps -o stat,args | grep -v grep | grep -qE '^Z|sleep 0.123'";
  const script = `(sleep 0.123 &); while ${isThere}; do sleep 0.1; done; echo reaped`;
  expect(await shOk(["--init"], script)).toBe("reaped");
});

check("--init passes the exit code on", async () => {
  expect((await docker(["run", "--rm", "--init", BUSYBOX, "sh", "-c", "exit 23"])).code).toBe(23);
});

check("--init: a program that is not there is 127, one that cannot be run 126", async () => {
  const code = async (program: string): Promise<number> =>
    (await docker(["run", "--rm", "--init", BUSYBOX, program])).code;
  expect(await code("no-such-program")).toBe(127);
  expect(await code("/etc/passwd")).toBe(126);
});

check("process 1 without --init is the command", async () => {
  expect(await shOk([], "echo $$")).toBe("1");
});

check("many arguments and odd characters arrive as they are", async () => {
  const words = ["a b", "", "'q'", '"d"', "$HOME", "*", "\\n", "나루", "--flag"];
  const out = await docker([
    "run",
    "--rm",
    BUSYBOX,
    "sh",
    "-c",
    'for w; do echo "[$w]"; done',
    "sh",
    ...words,
  ]);
  expect(out.stdout).toBe(words.map((word) => `[${word}]\n`).join(""));
});

check("a very long argument (100 kB) arrives", async () => {
  const long = "x".repeat(100_000);
  const out = await docker(["run", "--rm", BUSYBOX, "sh", "-c", "echo ${#1}", "sh", long]);
  expect(out.stdout.trim()).toBe("100000");
});

check("umask and default signal dispositions", async () => {
  const out = await shOk([], "umask; grep -E '^Sig(Ign|Blk)' /proc/self/status | cut -f2");
  expect(out).toBe("0022\n0000000000000000\n0000000000000000");
});

check("/etc/mtab leads to what is mounted, and is no change of the container", async (t) => {
  const name = t.name();
  t.defer(() => api("DELETE", `/containers/${name}?force=1`));
  const out = await dockerOk(
    "run",
    "--name",
    name,
    BUSYBOX,
    "sh",
    "-c",
    "readlink /etc/mtab; grep -c / /etc/mtab",
  );
  expect(out).toMatch(/^\/proc\/mounts\n\d+$/);
  expect(await dockerOk("diff", name)).not.toContain("mtab");
});

check("/.dockerenv is there", async () => {
  expect(await shOk([], "test -e /.dockerenv && echo there")).toBe("there");
});

check("only the three standard descriptors are open", async (t) => {
  const name = await t.idle();
  await until("these three", async () =>
    /^0\n1\n2$/.test(await dockerOk("exec", name, "ls", "/proc/1/fd")),
  );
});

check("the root has the mode 0755 and belongs to root", async () => {
  expect(await shOk([], "stat -c '%a %u %g' /")).toBe("755 0 0");
});
