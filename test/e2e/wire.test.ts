/** Answers that clients of the API depend on: statuses and words of odd requests. */
import { expect } from "bun:test";

import {
  api,
  BUSYBOX,
  check,
  docker,
  dockerOk,
  engine,
  field,
  naruOnly,
  sh,
  skipOn,
} from "../harness/check.ts";
import { hijack } from "../harness/http.ts";

interface Message {
  readonly message: string;
}

const refusal = async (
  path: string,
  body?: Record<string, unknown>,
): Promise<readonly [status: number, message: string]> => {
  const reply = await api("POST", path, body === undefined ? {} : { body });
  return [reply.status, reply.json<Message>().message];
};

check("detach keys that are none are refused before the connection is taken over", async (t) => {
  const name = await t.idle();
  const path = `/containers/${name}/attach?stream=1&stdout=1&detachKeys=ctrl-A,a`;
  const connection = await hijack(engine.socketPath, "POST", path);
  expect(connection.status).toBe(400);
  connection.destroy();
});

check("a create without anything is refused", async () => {
  expect(await refusal("/containers/create", {})).toEqual([
    400,
    expect.stringContaining("config cannot be empty in order to create a container"),
  ]);
});

check(
  "an image that is here for another platform alone is not found: clients pull it",
  async () => {
    const path = "/containers/create?platform=linux/riscv64";
    expect(await refusal(path, { Image: BUSYBOX })).toEqual([404, expect.any(String)]);
  },
);

check(
  "an annotation without a key is refused",
  async () => {
    const body = { Image: BUSYBOX, HostConfig: { Annotations: { "": "x" } } };
    expect(await refusal("/containers/create", body)).toEqual([
      400,
      expect.stringContaining("the empty string is not permitted as an annotation key"),
    ]);
  },
  { skip: skipOn("docker20", "annotations came with API 1.43") },
);

check("what is wrong deep in a create is refused, nothing of it is passed over", async () => {
  const create = (HostConfig: object): Promise<readonly [number, string]> =>
    refusal("/containers/create", { Image: BUSYBOX, Cmd: ["true"], HostConfig });
  const mount = { Type: "bind", Source: "/tmp", Target: "/mnt" };
  for (const [wrong, message] of [
    [{ Mounts: [{ ...mount, ReadOnly: "true" }] }, /ReadOnly/],
    [{ PortBindings: { "80/tcp": [{ HostPort: 8080 }] } }, /HostPort/],
    [
      { PortBindings: { "80/tcp": [{ HostPort: "70000" }] } },
      /invalid port specification: "70000"/,
    ],
    [{ PortBindings: { "web/tcp": [{}] } }, /invalid port specification: "web"/],
    [{ RestartPolicy: { Name: "on-failure", MaximumRetryCount: "3" } }, /MaximumRetryCount/],
    [{ Tmpfs: { "/mnt": 1 } }, /Tmpfs/],
    [{ LogConfig: { Type: "json-file", Config: { "max-size": 1 } } }, /max-size/],
    [{ ExtraHosts: ["db:nowhere"] }, /invalid IP address in add-host: "nowhere"/],
  ] as const) {
    expect(await create(wrong)).toEqual([400, expect.stringMatching(message)]);
  }
});

check("names of fields count without their case, at every depth", async (t) => {
  const name = t.name();
  t.defer(() => api("DELETE", `/containers/${name}?force=1`));
  const mounts = [{ type: "bind", source: "/tmp", target: "/mnt", readonly: true }];
  const body = { image: BUSYBOX, cmd: ["true"], hostconfig: { mounts } };
  expect((await api("POST", `/containers/create?name=${name}`, { body })).status).toBe(201);
  expect(await field(name, "{{range .Mounts}}{{.Destination}} {{.RW}}{{end}}")).toBe("/mnt false");
});

check("an update with an empty restart policy leaves it as it is", async (t) => {
  const name = await t.idle("--restart", "on-failure:3");
  const body = { RestartPolicy: {}, CpuShares: 512 };
  expect((await api("POST", `/containers/${name}/update`, { body })).status).toBe(200);
  expect(await field(name, "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.CpuShares}}")).toBe(
    "on-failure 512",
  );
  const both = { NanoCpus: 500_000_000, CpuQuota: 50_000 };
  expect(await refusal(`/containers/${name}/update`, both)).toEqual([
    400,
    expect.stringContaining("Conflicting options"),
  ]);
});

check("a restart policy for a container that is removed at its end is a conflict", async (t) => {
  const name = await t.idle("--rm");
  const body = { RestartPolicy: { Name: "always" } };
  expect((await refusal(`/containers/${name}/update`, body))[0]).toBe(409);
});

check("a limit of processes that was taken away is shown as zero", async (t) => {
  const name = await t.idle("--pids-limit", "32");
  await api("POST", `/containers/${name}/update`, { body: { PidsLimit: -1 } });
  expect(await field(name, "{{.HostConfig.PidsLimit}}")).toBe("0");
  const file = "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null";
  expect(await dockerOk("exec", name, "sh", "-c", `${file}; true`)).toBe("max");
});

check(
  "--security-opt writable-cgroups",
  async () => {
    const script = "cd /sys/fs/cgroup; test ! -d pids || cd pids; mkdir own";
    const run = async (...options: string[]): Promise<number> =>
      (
        await sh(
          options.flatMap((option) => ["--security-opt", option]),
          script,
        )
      ).code;
    expect(await run()).not.toBe(0);
    expect(await run("writable-cgroups=false")).not.toBe(0);
    expect(await run("writable-cgroups=true")).toBe(0);
    expect(await run("writable-cgroups=potato")).toBe(125);
  },
  { skip: naruOnly("it came with Docker 29") },
);

check("a linked container is found by the name that its link gives it", async (t) => {
  const db = await t.idle();
  const web = await t.idle("--link", `${db}:store`);
  const id = await field(db, "{{.Id}}");
  expect(await field(`${web}/store`, "{{.Id}}")).toBe(id);
  expect((await api("GET", `/containers/${web}%2Fnothing/json`)).status).toBe(404);
});

check("a namespace of a container that is not there is refused when it is asked for", async () => {
  for (const mode of ["PidMode", "IpcMode"]) {
    const body = { Image: BUSYBOX, HostConfig: { [mode]: "container:nosuch-e2e" } };
    const [status, message] = await refusal("/containers/create", body);
    expect([status, message]).toEqual([400, expect.stringMatching(/No such container: nosuch/)]);
  }
});

check("an exec as a user or of a group that is not there is refused when it is made", async (t) => {
  const name = await t.idle();
  for (const [user, message] of [
    ["nobody-here", "unable to find user nobody-here: no matching entries in passwd file"],
    ["0:nogroup-here", "unable to find group nogroup-here: no matching entries in group file"],
  ] as const) {
    const body = { Cmd: ["true"], User: user };
    expect(await refusal(`/containers/${name}/exec`, body)).toEqual([400, message]);
  }
});

check("the environment is the container's own first, then the image's", async (t) => {
  const name = await t.create("-e", "A=1", "-e", "B=2", "-e", "A=3", BUSYBOX);
  const env = (await field(name, "{{json .Config.Env}}")) as string;
  const names = (JSON.parse(env) as string[]).map((entry) => entry.split("=")[0]);
  expect(names.indexOf("PATH")).toBe(names.length - 1);
});

check("an image tells every field of its configuration, with or without a value", async () => {
  const image = async (version: string) =>
    (await api("GET", `/v${version}/images/${BUSYBOX}/json`)).json<{
      Config: Record<string, unknown>;
    }>().Config;
  const now = await image("1.51");
  expect(now).toMatchObject({ User: "", WorkingDir: "", Entrypoint: null, OnBuild: null });
  expect(now).toHaveProperty("Labels");
  expect(now).not.toHaveProperty("Hostname");
  expect(await image("1.40")).toMatchObject({ Domainname: "", Tty: false, Entrypoint: null });
});

check(
  "since 1.51 lists of images tell how many containers were made of each",
  async (t) => {
    await t.create(BUSYBOX);
    const count = async (version: string): Promise<number | undefined> => {
      const filters = encodeURIComponent(JSON.stringify({ reference: [BUSYBOX] }));
      const reply = await api("GET", `/v${version}/images/json?filters=${filters}`);
      return reply.json<{ Containers: number }[]>()[0]?.Containers;
    };
    expect(await count("1.51")).toBeGreaterThan(0);
    expect(await count("1.50")).toBe(-1);
  },
  { skip: skipOn("docker20", "its API is older") },
);

check("the networks host and none have no address configuration at all", async () => {
  for (const name of ["host", "none"]) {
    const { IPAM } = (await api("GET", `/networks/${name}`)).json<{ IPAM: { Config: unknown } }>();
    expect(IPAM.Config ?? []).toEqual([]);
    if (engine.kind !== "docker20") expect(IPAM.Config).toBeNull();
  }
});

check("a container's writable layer has a path that inspect tells", async (t) => {
  const name = await t.create(BUSYBOX);
  const upper = await field(name, "{{.GraphDriver.Data.UpperDir}}");
  expect(upper).toStartWith("/");
});

check("a commit of what nothing changed adds no layer, and nothing of the container", async (t) => {
  const name = await t.create("-t", BUSYBOX);
  const made = `${t.name()}:1`;
  await dockerOk("commit", name, made);
  t.defer(() => dockerOk("rmi", "-f", made));
  const layers = async (image: string) => {
    const path = `/v1.51/images/${image}/json`;
    return (await api("GET", path)).json<{ RootFS: { Layers: string[] }; Config: object }>();
  };
  const committed = await layers(made);
  expect(committed.RootFS.Layers).toEqual((await layers(BUSYBOX)).RootFS.Layers);
  if (engine.kind !== "docker20") expect(committed.Config).not.toHaveProperty("Tty");
});

check("until 1.40 lists of images take a pattern in a parameter of its own", async () => {
  const count = async (version: string) =>
    (await api("GET", `/v${version}/images/json?filter=nothing-is-called-so`)).json<object[]>()
      .length;
  expect(await count("1.30")).toBe(0);
  expect(await count("1.41")).toBeGreaterThan(0);
});

check("a part of the disk's usage leaves the other parts empty, not out", async () => {
  const usage = (await api("GET", "/v1.44/system/df?type=volume")).json();
  expect(usage).toMatchObject({ LayersSize: 0, Images: null, Containers: null, BuildCache: null });
});

check("a hardware address asked for on a network stands in the configuration too", async (t) => {
  const network = t.name();
  await dockerOk("network", "create", network);
  t.defer(() => dockerOk("network", "rm", network));
  const mac = "02:00:00:00:00:09";
  const name = await t.create("--network", network, "--mac-address", mac, BUSYBOX);
  expect(await field(name, "{{.Config.MacAddress}}")).toBe(mac);
});

check("until API 1.44 a committed image tells of its container", async (t) => {
  const image = `${t.name()}:c`;
  t.defer(() => docker(["rmi", "-f", image]));
  const name = await t.create("-e", "A=b", "--hostname", "here", BUSYBOX, "true");
  await dockerOk("commit", "-c", "CMD false", name, image);
  const shown = async (version: string) =>
    (await api("GET", `/${version}/images/${image}/json`)).json<{
      readonly ContainerConfig: { readonly Env: readonly string[] };
    }>();
  const before = await shown("v1.44");
  expect(before).toMatchObject({
    Container: await field(name, "{{.Id}}"),
    ContainerConfig: { Hostname: "here", Cmd: ["true"], Image: BUSYBOX },
    Config: { Hostname: "", Cmd: ["/bin/sh", "-c", "false"] },
  });
  expect(before.ContainerConfig.Env).toContain("A=b");
  const now = await shown("v1.45");
  expect(["Container", "ContainerConfig"].filter((key) => key in now)).toEqual([]);
});
