/** Layers with everything a tar can hold, shared between images, with whiteouts. */
import { expect } from "bun:test";

import { api, check, docker, dockerOk, skipOn } from "../harness/check.ts";
import { BUSYBOX_CONFIG, busyboxRoot, dockerArchive } from "../harness/images.ts";
import { readTar, writeTar } from "../harness/tar.ts";

const layer = (content: string): Buffer => writeTar([{ name: `file-${content}`, body: content }]);

check("two images share a layer: removing one keeps the other whole", async (t) => {
  const shared = layer(t.name());
  const names = [`${t.name()}:1`, `${t.name()}:1`];
  t.defer(() => docker(["rmi", "-f", ...names]));
  for (const [index, name] of names.entries()) {
    await docker(["load"], {
      stdin: dockerArchive([name], [shared, layer(`own${index}${name}`)], BUSYBOX_CONFIG),
    });
  }
  await dockerOk("rmi", names[0]!);
  const container = await t.create(names[1]!);
  const tar = readTar((await docker(["export", container])).bytes);
  expect([...tar.keys()].filter((key) => key.startsWith("file-")).length).toBe(2);
});

check(
  "the list of images says how many containers are made of each",
  async (t) => {
    const name = `${t.name()}:1`;
    t.defer(() => docker(["rmi", "-f", name]));
    const made = await docker(["import", "-", name], { stdin: layer(t.name()) });
    expect(made.code).toBe(0);
    const counted = async (): Promise<number | undefined> => {
      const path = `/v1.51/images/json?filters=${encodeURIComponent(`{"reference":["${name}"]}`)}`;
      return (await api("GET", path)).json<{ Containers: number }[]>()[0]?.Containers;
    };
    expect(await counted()).toBe(0);
    for (const count of [1, 2]) {
      await t.create(name, "true");
      expect(await counted()).toBe(count);
    }
  },
  { skip: skipOn("docker20", "its API is older") },
);

check("a layer with setuid, devices, hard links, long names and odd owners", async (t) => {
  const name = `${t.name()}:1`;
  t.defer(() => docker(["rmi", "-f", name]));
  const long = `dir/${"n".repeat(90)}/${"m".repeat(90)}`;
  const odd = writeTar([
    { name: "suid", body: "s", mode: 0o4755, uid: 65_534, gid: 12 },
    { name: "dir", type: "dir", mode: 0o2775 },
    { name: `dir/${"n".repeat(90)}`, type: "dir" },
    { name: long, body: "long" },
    { name: "hard", type: "hardlink", target: "suid", mode: 0o4755, uid: 65_534, gid: 12 },
    { name: "dev-null", type: "char", device: [1, 3], mode: 0o666 },
    { name: "pipe", type: "fifo" },
    { name: "abs", type: "symlink", target: "/bin/sh" },
    { name: "é-나루", body: "u" },
  ]);
  await docker(["load"], {
    stdin: dockerArchive([name], [writeTar(await busyboxRoot()), odd], BUSYBOX_CONFIG),
  });
  const script = `stat -c '%a %u %g %h' /suid; stat -c %a /dir; cat /${long}; stat -c '%F %t,%T' /dev-null; stat -c %F /pipe; readlink /abs; cat /é-나루`;
  expect(await dockerOk("run", "--rm", name, "sh", "-c", script)).toBe(
    "4755 65534 12 2\n2775\nlongcharacter special file 1,3\nfifo\n/bin/sh\nu",
  );
});

check("opaque whiteout hides everything below", async (t) => {
  const name = `${t.name()}:1`;
  t.defer(() => docker(["rmi", "-f", name]));
  const upper = writeTar([
    { name: "etc", type: "dir" },
    { name: "etc/.wh..wh..opq" },
    { name: "etc/only", body: "o" },
  ]);
  await docker(["load"], {
    stdin: dockerArchive([name], [writeTar(await busyboxRoot()), upper], BUSYBOX_CONFIG),
  });
  const listing = (await dockerOk("run", "--rm", name, "ls", "/etc")).split("\n");
  expect(listing).toContain("only");
  expect(listing).not.toContain("marker");
});
