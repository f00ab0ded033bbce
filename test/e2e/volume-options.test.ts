/** Volumes of the local driver that are mounts: bind, tmpfs, flags; mounted while somebody needs them. */
import { expect } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

import { api, BUSYBOX, check, docker, dockerOk, shOk } from "../harness/check.ts";

const bindOf = (folder: string, o = "bind"): string[] =>
  ["type=none", `o=${o}`, `device=${folder}`].flatMap((option) => ["--opt", option]);

check("a directory of the host by type=none, o=bind", async (t) => {
  const folder = t.folder();
  writeFileSync(`${folder}/there`, "host");
  const name = await t.volume(...bindOf(folder));
  expect(await shOk(["-v", `${name}:/d`], "cat /d/there; echo inside > /d/made")).toBe("host");
  expect(readFileSync(`${folder}/made`, "utf8")).toBe("inside\n");
});

check("o=bind,ro: nobody writes", async (t) => {
  const name = await t.volume(...bindOf(t.folder(), "bind,ro"));
  const out = await shOk(["-v", `${name}:/d`], "touch /d/f 2>&1 || echo refused");
  expect(out).toContain("Read-only file system");
  expect(out).toContain("refused");
});

check("two containers share one mount; a subpath of it; rm leaves the host's files", async (t) => {
  const folder = t.folder();
  mkdirSync(`${folder}/sub`);
  const name = await t.volume(...bindOf(folder));
  const first = await t.idle("-v", `${name}:/d`);
  const second = await t.idle("-v", `${name}:/d`);
  await dockerOk("exec", first, "sh", "-c", "echo shared > /d/sub/f");
  await api("DELETE", `/containers/${first}?force=1`);
  expect(await dockerOk("exec", second, "cat", "/d/sub/f")).toBe("shared");
  await api("DELETE", `/containers/${second}?force=1`);
  await dockerOk("volume", "rm", name);
  expect(readFileSync(`${folder}/sub/f`, "utf8")).toBe("shared\n");
});

check("flags of mount(8): noexec, nosuid, size", async (t) => {
  const options = ["type=tmpfs", "device=tmpfs", "o=size=3m,noexec,nosuid,mode=0711,uid=7"];
  const name = await t.volume(...options.flatMap((option) => ["--opt", option]));
  const script = "grep ' /d ' /proc/mounts; stat -c '%a %u' /d";
  const out = await shOk(["-v", `${name}:/d`], script);
  expect(out).toMatch(/nosuid.*noexec.*size=3072k/);
  expect(out).toMatch(/^711 7$/m);
});

check("a device that is not there: the start says what was mounted where", async (t) => {
  const name = await t.volume(...bindOf("/nonexistent/place"));
  const out = await docker(["run", "--rm", "-v", `${name}:/d`, BUSYBOX, "true"]);
  expect(out.code).not.toBe(0);
  expect(out.stderr).toMatch(/failed to mount local volume|error while mounting volume/);
  expect(out.stderr).toMatch(/no such file or directory/);
});

check("a network file system whose server has no address", async (t) => {
  const options = ["type=nfs", "device=:/x", "o=addr=no-such-host.invalid,rw"];
  const name = await t.volume(...options.flatMap((option) => ["--opt", option]));
  const out = await docker(["run", "--rm", "-v", `${name}:/d`, BUSYBOX, "true"]);
  expect(out.code).not.toBe(0);
  expect(out.stderr).toMatch(/error resolving passed in (network volume|nfs) address/);
});
