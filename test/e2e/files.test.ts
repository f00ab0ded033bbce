/** `cp` both ways, `diff`, `export`, `import`, `commit`. */
import { expect } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";

import {
  api,
  BUSYBOX,
  FULL,
  check,
  docker,
  dockerOk,
  field,
  skipOn,
  until,
} from "../harness/check.ts";
import { readTar, writeTar } from "../harness/tar.ts";

check("cp a file in, also with another name", async (t) => {
  const name = await t.idle();
  const file = `${t.folder()}/f`;
  writeFileSync(file, "content");
  await dockerOk("cp", file, `${name}:/tmp/`);
  await dockerOk("cp", file, `${name}:/renamed`);
  expect(await dockerOk("exec", name, "cat", "/tmp/f", "/renamed")).toBe("contentcontent");
});

check("cp a file out, also with another name and to stdout as tar", async (t) => {
  const name = await t.idle();
  const dir = t.folder();
  await dockerOk("cp", `${name}:/etc/marker`, dir);
  await dockerOk("cp", `${name}:/etc/marker`, `${dir}/other`);
  expect(readFileSync(`${dir}/marker`, "utf8")).toBe("from the image\n");
  expect(readFileSync(`${dir}/other`, "utf8")).toBe("from the image\n");
  const out = await docker(["cp", `${name}:/etc/marker`, "-"]);
  expect(readTar(out.bytes).get("marker")?.body.toString()).toBe("from the image\n");
});

check("cp a folder in: into an existing one, and as a new one", async (t) => {
  const name = await t.idle();
  const dir = `${t.folder()}/src`;
  mkdirSync(`${dir}/sub`, { recursive: true });
  writeFileSync(`${dir}/sub/f`, "x");
  await dockerOk("cp", dir, `${name}:/tmp`);
  await dockerOk("cp", dir, `${name}:/fresh`);
  expect(await dockerOk("exec", name, "cat", "/tmp/src/sub/f", "/fresh/sub/f")).toBe("xx");
});

check("cp with a trailing /. takes the content", async (t) => {
  const name = await t.idle();
  const dir = t.folder();
  writeFileSync(`${dir}/one`, "1");
  await dockerOk("exec", name, "mkdir", "/into");
  await dockerOk("cp", `${dir}/.`, `${name}:/into`);
  expect(await dockerOk("exec", name, "ls", "/into")).toBe("one");
  const out = t.folder();
  await dockerOk("cp", `${name}:/into/.`, out);
  expect(readFileSync(`${out}/one`, "utf8")).toBe("1");
});

check("cp a folder out", async (t) => {
  const name = await t.idle();
  await dockerOk(
    "exec",
    name,
    "sh",
    "-c",
    "mkdir -p /d/e; echo x > /d/e/f; ln -s e/f /d/l; chmod 640 /d/e/f",
  );
  const dir = t.folder();
  await dockerOk("cp", `${name}:/d`, dir);
  expect(readFileSync(`${dir}/d/e/f`, "utf8")).toBe("x\n");
  expect(readlinkSync(`${dir}/d/l`)).toBe("e/f");
  expect(statSync(`${dir}/d/e/f`).mode & 0o777).toBe(0o640);
});

check("cp tar from stdin", async (t) => {
  const name = await t.idle();
  const tar = writeTar([
    { name: "a", body: "A" },
    { name: "d", type: "dir" },
    { name: "d/b", body: "B", uid: 12, gid: 34 },
  ]);
  expect((await docker(["cp", "-", `${name}:/tmp`], { stdin: tar })).code).toBe(0);
  expect(
    await dockerOk("exec", name, "sh", "-c", "cat /tmp/a /tmp/d/b; stat -c ' %u %g' /tmp/d/b"),
  ).toBe("AB 12 34");
});

check("cp tar from stdin to a folder that is not there is refused", async (t) => {
  const name = await t.idle();
  const out = await docker(["cp", "-", `${name}:/missing/dir`], { stdin: writeTar([]) });
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(
    /Could not find the file|no such file or directory|must be a directory/i,
  );
});

check("cp keeps a symlink, -L follows it", async (t) => {
  const name = await t.idle();
  await dockerOk("exec", name, "sh", "-c", "echo real > /real; ln -s /real /link");
  const dir = t.folder();
  await dockerOk("cp", `${name}:/link`, `${dir}/kept`);
  expect(lstatSync(`${dir}/kept`).isSymbolicLink()).toBe(true);
  await dockerOk("cp", "-L", `${name}:/link`, `${dir}/followed`);
  expect(readFileSync(`${dir}/followed`, "utf8")).toBe("real\n");
});

check("cp -L of a local symlink", async (t) => {
  const name = await t.idle();
  const dir = t.folder();
  writeFileSync(`${dir}/real`, "r");
  symlinkSync("real", `${dir}/link`);
  await dockerOk("cp", "-L", `${dir}/link`, `${name}:/got`);
  expect(await dockerOk("exec", name, "sh", "-c", "test ! -L /got && cat /got")).toBe("r");
});

check("cp into a folder behind a symlink stays inside the container", async (t) => {
  const name = await t.idle();
  await dockerOk("exec", name, "sh", "-c", "ln -s /../../../../tmp /esc");
  const file = `${t.folder()}/e2e-escape-probe`;
  writeFileSync(file, "x");
  await dockerOk("cp", file, `${name}:/esc/`);
  expect(await dockerOk("exec", name, "cat", "/tmp/e2e-escape-probe")).toBe("x");
  expect(existsSync("/tmp/e2e-escape-probe")).toBe(false);
});

check("cp of a missing path", async (t) => {
  const name = await t.idle();
  const out = await docker(["cp", `${name}:/no/such`, t.folder()]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/Could not find the file \/no\/such in container/);
});

check("cp into a missing folder", async (t) => {
  const name = await t.idle();
  const file = `${t.folder()}/f`;
  writeFileSync(file, "x");
  expect((await docker(["cp", file, `${name}:/no/such/dir/`])).code).toBe(1);
});

check("cp of an unknown container", async (t) => {
  const out = await docker(["cp", "e2e-unknown:/etc/passwd", t.folder()]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/No such container/);
});

check("cp works on a created and on a stopped container", async (t) => {
  const file = `${t.folder()}/f`;
  writeFileSync(file, "early");
  const name = await t.create(BUSYBOX, "cat", "/f");
  await dockerOk("cp", file, `${name}:/f`);
  expect((await docker(["start", "-a", name])).stdout).toBe("early");
  const dir = t.folder();
  await dockerOk("cp", `${name}:/f`, dir);
  expect(readFileSync(`${dir}/f`, "utf8")).toBe("early");
});

check("cp reaches into volumes, also of a stopped container", async (t) => {
  const volume = await t.volume();
  const name = await t.create("-v", `${volume}:/vol`, BUSYBOX, "cat", "/vol/f");
  const file = `${t.folder()}/f`;
  writeFileSync(file, "in volume");
  await dockerOk("cp", file, `${name}:/vol/f`);
  expect(await dockerOk("run", "--rm", "-v", `${volume}:/v`, BUSYBOX, "cat", "/v/f")).toBe(
    "in volume",
  );
});

check("cp into a read-only container or volume is refused", async (t) => {
  const name = await t.idle("--read-only", "-v", "/rw");
  const file = `${t.folder()}/f`;
  writeFileSync(file, "x");
  const out = await docker(["cp", file, `${name}:/f`]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/read-only/i);
  expect((await docker(["cp", file, `${name}:/rw/f`])).code).toBe(0);
});

check("cp -a keeps the owner", async (t) => {
  const name = await t.idle();
  const file = `${t.folder()}/f`;
  writeFileSync(file, "x");
  await Bun.spawn(["chown", "1234:4321", file]).exited;
  await dockerOk("cp", "-a", file, `${name}:/f`);
  expect(await dockerOk("exec", name, "stat", "-c", "%u %g", "/f")).toBe("1234 4321");
});

check("cp a file over a folder is refused", async (t) => {
  const name = await t.idle();
  const dir = `${t.folder()}/d`;
  mkdirSync(dir);
  expect((await docker(["cp", dir, `${name}:/etc/passwd`])).code).toBe(1);
});

check("API archive: HEAD has the stat header", async (t) => {
  const name = await t.create(BUSYBOX);
  const reply = await api("HEAD", `/containers/${name}/archive?path=/etc/marker`);
  expect(reply.status).toBe(200);
  const stat = JSON.parse(
    Buffer.from(String(reply.headers["x-docker-container-path-stat"]), "base64").toString(),
  ) as Record<string, unknown>;
  expect(stat).toMatchObject({ name: "marker", size: 15, linkTarget: "" });
  expect((await api("HEAD", `/containers/${name}/archive?path=/nope`)).status).toBe(404);
});

check("API archive: PUT noOverwriteDirNonDir", async (t) => {
  const name = await t.create(BUSYBOX);
  const raw = writeTar([{ name: "tmp", body: "file" }]);
  const reply = await api("PUT", `/containers/${name}/archive?path=/&noOverwriteDirNonDir=1`, {
    raw,
  });
  expect([400, 500]).toContain(reply.status);
});

check("API archive: a broken tar is an error", async (t) => {
  const name = await t.create(BUSYBOX);
  const reply = await api("PUT", `/containers/${name}/archive?path=/tmp`, {
    raw: Buffer.alloc(600, 7),
  });
  expect(reply.status).toBeGreaterThanOrEqual(400);
});

check("diff: added, changed, deleted", async (t) => {
  const name = await t.up(
    BUSYBOX,
    "sh",
    "-c",
    "mkdir /new; touch /new/f; echo x >> /etc/marker; rm /etc/group",
  );
  await dockerOk("wait", name);
  const lines = (await dockerOk("diff", name)).split("\n").sort();
  expect(lines).toEqual(["A /new", "A /new/f", "C /etc", "C /etc/marker", "D /etc/group"]);
});

check("diff of an untouched container is empty, volumes are not in it", async (t) => {
  const name = await t.up("-v", "/vol", BUSYBOX, "touch", "/vol/f");
  await dockerOk("wait", name);
  expect(
    (await dockerOk("diff", name))
      .split("\n")
      .filter((line) => !/^[AC] \/vol$/.test(line) && line !== ""),
  ).toEqual([]);
});

check("export is a tar of the whole root", async (t) => {
  const name = await t.create(BUSYBOX);
  const out = await docker(["export", name]);
  const tar = readTar(out.bytes);
  expect(tar.get("etc/marker")?.body.toString()).toBe("from the image\n");
  expect(tar.get("bin/sh")).toMatchObject({ type: "2", target: "busybox" });
  expect((tar.get("tmp")?.mode ?? 0) & 0o7777).toBe(0o1777);
  expect(tar.has("bin/busybox")).toBe(true);
});

check("export -o, import with -c and -m, and a run of it", async (t) => {
  const file = `${t.folder()}/e.tar`;
  const image = `${t.name()}:1`;
  t.defer(() => docker(["rmi", "-f", image]));
  const name = await t.up(BUSYBOX, "sh", "-c", "echo made > /made");
  await dockerOk("wait", name);
  await dockerOk("export", "-o", file, name);
  const id = await dockerOk(
    "import",
    "-c",
    'CMD ["cat", "/made"]',
    "-c",
    "ENV A=b",
    "-c",
    "LABEL l=m",
    "-m",
    "a message",
    file,
    image,
  );
  expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(await dockerOk("run", "--rm", image)).toBe("made");
  expect(
    await dockerOk(
      "image",
      "inspect",
      "--format",
      "{{.Config.Env}} {{.Config.Labels.l}} {{.Comment}}",
      image,
    ),
  ).toContain("a message");
});

check("import from stdin, gzip and without a name", async (t) => {
  const tar = Bun.gzipSync(new Uint8Array(writeTar([{ name: "f", body: "x" }])));
  const out = await docker(["import", "-"], { stdin: tar });
  const id = out.stdout.trim();
  t.defer(() => docker(["rmi", id]));
  expect(id).toMatch(/^sha256:/);
  expect(await dockerOk("image", "inspect", "--format", "{{len .RootFS.Layers}}", id)).toBe("1");
});

check("import of something that is no tar is an error", async () => {
  const out = await docker(["import", "-"], { stdin: "this is no tar".repeat(100) });
  expect(out.code).toBe(1);
});

check("commit: files, configuration of the container, -m, -a", async (t) => {
  const image = `${t.name()}:c`;
  t.defer(() => docker(["rmi", "-f", image]));
  const name = await t.up("-e", "X=kept", "-w", "/tmp", BUSYBOX, "sh", "-c", "echo data > /data");
  await dockerOk("wait", name);
  const id = await dockerOk("commit", "-m", "msg", "-a", "me <me@example.test>", name, image);
  expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(await dockerOk("run", "--rm", image, "sh", "-c", "cat /data; echo $X; pwd")).toBe(
    "data\nkept\n/tmp",
  );
  expect(await dockerOk("image", "inspect", "--format", "{{.Comment}}|{{.Author}}", image)).toBe(
    "msg|me <me@example.test>",
  );
});

check("commit -c changes", async (t) => {
  const image = `${t.name()}:c`;
  t.defer(() => docker(["rmi", "-f", image]));
  const name = await t.create(BUSYBOX, "true");
  const changes = [
    'CMD ["echo", "new"]',
    "ENV A=1 B=2",
    "LABEL k=v",
    "USER 5",
    "WORKDIR /srv",
    "EXPOSE 99",
    "VOLUME /vv",
    'ENTRYPOINT ["/bin/sh", "-c"]',
  ];
  await dockerOk("commit", ...changes.flatMap((change) => ["-c", change]), name, image);
  const config = JSON.parse(
    await dockerOk("image", "inspect", "--format", "{{json .Config}}", image),
  ) as Record<string, unknown>;
  expect(config).toMatchObject({
    Labels: { k: "v" },
    User: "5",
    WorkingDir: "/srv",
    ExposedPorts: { "99/tcp": {} },
    Volumes: { "/vv": {} },
    Entrypoint: ["/bin/sh", "-c"],
  });
  expect(config["Env"]).toEqual(expect.arrayContaining(["A=1", "B=2"]));
});

check("commit with a wrong change is refused", async (t) => {
  const name = await t.create(BUSYBOX);
  const out = await docker(["commit", "-c", "NONSENSE x", name]);
  expect(out.code).toBe(1);
  const run = await docker(["commit", "-c", "RUN true", name]);
  expect(run.code).toBe(1);
});

check(
  "commit of a running container does not stop it, a deletion becomes a whiteout",
  async (t) => {
    const image = `${t.name()}:c`;
    t.defer(() => docker(["rmi", "-f", image]));
    const name = await t.up(BUSYBOX, "sh", "-c", "rm /etc/marker; sleep 600");
    const isThere = ["exec", name, "test", "-e", "/etc/marker"];
    await until("it is gone", async () => (await docker(isThere)).code === 1);
    await dockerOk("commit", name, image);
    expect(await field(name, "{{.State.Status}}")).toBe("running");
    expect((await docker(["run", "--rm", image, "test", "-e", "/etc/marker"])).code).toBe(1);
  },
);

check("commit leaves volumes out", async (t) => {
  const image = `${t.name()}:c`;
  t.defer(() => docker(["rmi", "-f", image]));
  const name = await t.up("-v", "/vol", BUSYBOX, "sh", "-c", "echo x > /vol/f");
  await dockerOk("wait", name);
  await dockerOk("commit", name, image);
  expect((await docker(["run", "--rm", image, "test", "-e", "/vol/f"])).code).toBe(1);
});

check(
  "commit of a container of an image with VOLUME keeps it",
  async (t) => {
    const image = `${t.name()}:c`;
    t.defer(() => docker(["rmi", "-f", image]));
    const name = await t.create(FULL);
    await dockerOk("commit", name, image);
    expect(await dockerOk("image", "inspect", "--format", "{{json .Config.Volumes}}", image)).toBe(
      '{"/data":{}}',
    );
  },
  { skip: skipOn("given", "needs the test images") },
);
