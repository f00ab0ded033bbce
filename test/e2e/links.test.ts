/** `--link`: names of others that one container alone knows. */
import { expect } from "bun:test";

import { BUSYBOX, check, docker, dockerOk, field, inspect } from "../harness/check.ts";

let count = 0;
const uniqueName = (word: string): string => `e2e-link-${word}-${(count += 1)}`;
const addressOf = (name: string): Promise<string> =>
  field(name, "{{.NetworkSettings.Networks.bridge.IPAddress}}");

interface Linking {
  readonly HostConfig: { readonly Links: readonly string[] | null };
  readonly NetworkSettings: { readonly Networks: Record<string, unknown> };
}

check("link: lines in /etc/hosts and variables on the default bridge", async () => {
  const [db, web] = [uniqueName("db"), uniqueName("web")];
  await dockerOk(
    "run",
    "-d",
    "--name",
    db,
    "-e",
    "SECRET=1",
    "--expose",
    "80",
    BUSYBOX,
    "sleep",
    "600",
  );
  await dockerOk("run", "-d", "--name", web, "--link", `${db}:my-db`, BUSYBOX, "sleep", "600");
  const [ip, id] = [await addressOf(db), await field(db, "{{.Id}}")];
  const hosts = await dockerOk("exec", web, "cat", "/etc/hosts");
  expect(hosts).toContain(`${ip}\tmy-db ${id.slice(0, 12)} ${db}\n`);
  const env = await dockerOk("exec", web, "sh", "-c", "cat /proc/1/environ | tr '\\0' '\\n'");
  for (const line of [
    `MY_DB_PORT=tcp://${ip}:80`,
    `MY_DB_PORT_80_TCP=tcp://${ip}:80`,
    `MY_DB_PORT_80_TCP_ADDR=${ip}`,
    "MY_DB_PORT_80_TCP_PORT=80",
    "MY_DB_PORT_80_TCP_PROTO=tcp",
    `MY_DB_NAME=/${web}/my-db`,
    "MY_DB_ENV_SECRET=1",
  ]) {
    expect(env.split("\n")).toContain(line);
  }
  expect(env).not.toContain("MY_DB_ENV_PATH");
  expect((await inspect<Linking>(web)).HostConfig.Links).toEqual([`/${db}:/${web}/my-db`]);
  await dockerOk("rm", "-f", web, db);
});

check("link: lists have the names that links give, and find nothing by them", async () => {
  const [db, web] = [uniqueName("db"), uniqueName("web")];
  await dockerOk("create", "--name", db, BUSYBOX, "true");
  const names = async (...options: string[]): Promise<string[]> =>
    (await dockerOk("ps", "-a", "--filter", ...options, "--format", "{{.Names}}")).split("\n");
  expect(await names(`name=${db}`, "--no-trunc")).toEqual([db]);
  await dockerOk("create", "--name", web, "--link", `${db}:x`, BUSYBOX, "true");
  expect(await names(`name=${db}`)).toEqual([db]);
  const [both = ""] = await names(`name=${db}`, "--no-trunc");
  expect(both.split(",").toSorted()).toEqual([db, `${web}/x`]);
  expect(await names(`name=${web}`)).toEqual([web]);
  await dockerOk("rm", "-f", web);
  expect(await names(`name=${db}`, "--no-trunc")).toEqual([db]);
  await dockerOk("rm", "-f", db);
});

check("link: a target that starts again is followed", async () => {
  const [db, web, other] = [uniqueName("db"), uniqueName("web"), uniqueName("other")];
  await dockerOk("run", "-d", "--name", db, BUSYBOX, "sleep", "600");
  await dockerOk("run", "-d", "--name", web, "--link", db, BUSYBOX, "sleep", "600");
  await dockerOk("stop", "-t", "0", db);
  await dockerOk("run", "-d", "--name", other, BUSYBOX, "sleep", "600");
  await dockerOk("start", db);
  const ip = await addressOf(db);
  expect(await dockerOk("exec", web, "cat", "/etc/hosts")).toContain(`${ip}\t${db} `);
  await dockerOk("exec", web, "ping", "-c1", "-W10", db);
  await dockerOk("rm", "-f", web, db, other);
});

check("link: the target must be there, and must run", async () => {
  const [db, web] = [uniqueName("db"), uniqueName("web")];
  const missing = await docker(["create", "--link", `${db}:x`, BUSYBOX, "true"]);
  expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining(db)]);
  await dockerOk("create", "--name", db, BUSYBOX, "true");
  await dockerOk("create", "--name", web, "--link", `${db}:x`, BUSYBOX, "true");
  const start = await docker(["start", web]);
  expect(start.code).toBe(1);
  expect(start.stderr).toContain(`Cannot link to a non running container: /${db} AS /${web}/x`);
  await dockerOk("rm", "-f", web, db);
});

check("link: on a network with names it is a name for one alone", async () => {
  const [net, db, web, other] = ["net", "db", "web", "other"].map(uniqueName) as [
    string,
    string,
    string,
    string,
  ];
  await dockerOk("network", "create", net);
  await dockerOk("run", "-d", "--name", db, "--net", net, BUSYBOX, "sleep", "600");
  await dockerOk(
    "run",
    "-d",
    "--name",
    web,
    "--net",
    net,
    "--link",
    `${db}:store`,
    BUSYBOX,
    "sleep",
    "600",
  );
  await dockerOk("run", "-d", "--name", other, "--net", net, BUSYBOX, "sleep", "600");
  await dockerOk("exec", web, "ping", "-c1", "-W10", "store");
  const stranger = await docker(["exec", other, "ping", "-c1", "-W10", "store"]);
  expect(stranger.code).not.toBe(0);
  expect((await inspect<Linking>(web)).NetworkSettings.Networks[net]).toMatchObject({
    Links: [`${db}:store`],
  });
  const late = uniqueName("late");
  await dockerOk("run", "-d", "--name", late, BUSYBOX, "sleep", "600");
  await dockerOk("network", "connect", "--link", `${db}:again`, net, late);
  await dockerOk("exec", late, "ping", "-c1", "-W10", "again");
  await dockerOk("rm", "-f", web, db, other, late);
  await dockerOk("network", "rm", net);
});

check("link: removed, and gone with the next start", async () => {
  const [db, web] = [uniqueName("db"), uniqueName("web")];
  await dockerOk("run", "-d", "--name", db, BUSYBOX, "sleep", "600");
  await dockerOk("run", "-d", "--name", web, "--link", `${db}:x`, BUSYBOX, "sleep", "600");
  await dockerOk("rm", "--link", `${web}/x`);
  expect((await inspect<Linking>(web)).HostConfig.Links ?? []).toEqual([]);
  await dockerOk("restart", "-t", "0", web);
  expect(await dockerOk("exec", web, "cat", "/etc/hosts")).not.toContain(db);
  await dockerOk("rm", "-f", web, db);
});

check("a variable without a value is one that the process is not to have", async () => {
  const out = await dockerOk("run", "--rm", "-e", "NOT_SET_ANYWHERE", BUSYBOX, "env");
  expect(out).not.toContain("NOT_SET_ANYWHERE");
});

check("wait ends with the run, also where the restart policy makes another", async () => {
  const name = uniqueName("again");
  await dockerOk(
    "run",
    "-d",
    "--name",
    name,
    "--restart",
    "always",
    BUSYBOX,
    "sh",
    "-c",
    "sleep 1; exit 7",
  );
  expect(await dockerOk("wait", name)).toBe("7");
  await dockerOk("rm", "-f", name);
});
