/** naru compose from sources: build, watch, and copies of whole projects. */
import { expect } from "bun:test";
import { symlinkSync } from "node:fs";

import { BUSYBOX, check, docker, dockerOk, field, naruOnly, until } from "../harness/check.ts";
import { gitServer } from "../harness/git-server.ts";
import { composeProject, containerIds as ids, dockerCompose } from "../harness/compose.ts";

check(
  "build: a context, an inline Dockerfile, a context of another service; --build only what changed",
  async (t) => {
    const p = composeProject(t, {
      "app/Dockerfile": `FROM ${BUSYBOX}\nARG WHO\nCOPY file /file\nRUN echo "$WHO" > /who\nCMD ["sleep", "600"]\n`,
      "app/file": "first",
      "compose.yaml": `
services:
  app: {build: {context: ./app, args: {WHO: me}}, init: true}
  top:
    init: true
    build:
      context: .
      additional_contexts: {base: "service:app"}
      dockerfile_inline: |
        FROM base
        RUN cat /who > /again
`,
    });
    t.defer(() => docker(["rmi", "-f", `${p.name}-app`, `${p.name}-top`]));
    await p.naruOk("up", "-d");
    expect(await p.naruOk("exec", "-T", "top", "cat", "/again", "/file")).toBe("me\nfirst");
    const before = await ids(p.name);
    await p.naruOk("up", "-d", "--build");
    expect(await ids(p.name)).toEqual(before);
    p.write("app/file", "second");
    await p.naruOk("up", "-d", "--build", "app");
    expect(await p.naruOk("exec", "-T", "app", "cat", "/file")).toBe("second");
  },
  { skip: naruOnly("images are built by the engine's own endpoint") },
);

check(
  "build: attestations, ulimits and several platforms; what came out of the cache starts nothing anew",
  async (t) => {
    const name = t.name();
    const p = composeProject(t, {
      Dockerfile: `FROM ${BUSYBOX}\nRUN ulimit -n > /limit\n`,
      "compose.yaml": `
services:
  app:
    image: ${name}:1
    command: sleep 600
    init: true
    build: {context: ., provenance: mode=max, sbom: true, ulimits: {nofile: 77}}
  files:
    image: ${name}:2
    profiles: [none]
    build: {context: ., dockerfile_inline: "FROM scratch\\nCOPY Dockerfile /", platforms: [linux/amd64, linux/s390x]}
`,
    });
    t.defer(() => docker(["rmi", "-f", `${name}:1`, `${name}:2`]));
    await p.naruOk("up", "-d", "--build");
    expect(await p.naruOk("exec", "-T", "app", "cat", "/limit")).toBe("77");
    const before = await ids(p.name);
    await p.naruOk("up", "-d", "--build");
    expect(await ids(p.name)).toEqual(before);
    await p.naruOk("build", "files");
    const inspect = ["image", "inspect", "--platform", "linux/s390x", "-f", "{{.Architecture}}"];
    expect(await dockerOk(...inspect, `${name}:2`)).toBe("s390x");
  },
  { skip: naruOnly("images are built by the engine's own endpoint") },
);

check(
  "watch: changes are copied, deletions too, and a restart follows where it is asked for",
  async (t) => {
    const p = composeProject(t, {
      "src/a.txt": "one",
      "conf/c.txt": "one",
      "compose.yaml": `
services:
  web:
    image: ${BUSYBOX}
    command: sleep 600
    init: true
    stop_grace_period: 1s
    develop:
      watch:
        - {path: ./src, action: sync, target: /app, ignore: ["*.log"], initial_sync: true}
        - {path: ./conf, action: sync+restart, target: /conf}
`,
    });
    const watching = p.background("watch");
    t.defer(() => watching.stop());
    await watching.waitFor("Watch enabled");
    const inside = (script: string): Promise<string> =>
      p.naru("exec", "-T", "web", "sh", "-c", script).then((out) => out.stdout.trim());
    expect(await inside("cat /app/a.txt")).toBe("one");
    p.write("src/deep/b.txt", "two");
    p.write("src/no.log", "not me");
    await until("b is there", async () => (await inside("cat /app/deep/b.txt")) === "two");
    expect(await inside("ls /app")).not.toContain("no.log");
    p.remove("src/a.txt");
    await until("a is gone", async () => !(await inside("ls /app")).includes("a.txt"));
    const began = await field(`${p.name}-web-1`, "{{.State.StartedAt}}");
    p.write("conf/c.txt", "two");
    await until(
      "it has restarted",
      async () => (await field(`${p.name}-web-1`, "{{.State.StartedAt}}")) !== began,
    );
    expect(await inside("cat /conf/c.txt")).toBe("two");
  },
);

check(
  "watch: links, what the build leaves out, and one service's trouble beside another's changes",
  async (t) => {
    const p = composeProject(t, {
      "src/Dockerfile": `FROM ${BUSYBOX}\n`,
      "src/.dockerignore": "*.log\n",
      "src/a.txt": "one",
      "compose.yaml": `
services:
  broken:
    image: ${BUSYBOX}
    command: sleep 600
    init: true
    read_only: true
    stop_grace_period: 1s
    develop: {watch: [{path: ./src, action: sync, target: /app}]}
  web:
    build: ./src
    command: sleep 600
    init: true
    stop_grace_period: 1s
    develop: {watch: [{path: ./src, action: sync, target: /app, initial_sync: true}]}
`,
    });
    symlinkSync(".", `${p.folder}/src/round`);
    const watching = p.background("watch");
    t.defer(() => watching.stop());
    await watching.waitFor("Watch enabled");
    const inside = (script: string): Promise<string> =>
      p.naru("exec", "-T", "web", "sh", "-c", script).then((out) => out.stdout.trim());
    expect(await inside("cat /app/a.txt; readlink /app/round")).toBe("one.");
    p.write("src/no.log", "not me");
    symlinkSync("a.txt", `${p.folder}/src/link`);
    await until("the link is there", async () => (await inside("readlink /app/link")) === "a.txt");
    expect(await inside("ls /app")).not.toContain("no.log");
    await watching.waitFor('service "broken": ');
  },
);

check(
  "clone: a second project with a copy of the data, which goes its own way",
  async (t) => {
    const p = composeProject(t, {
      "compose.yaml": `
services:
  db:
    image: ${BUSYBOX}
    command: sleep 600
    init: true
    container_name: only-${Date.now().toString(36)}
    volumes: ["data:/data"]
    ports: ["127.0.0.1:0:80"]
volumes: {data: }
`,
    });
    const copy = `${p.name}x`;
    t.defer(() => p.naru("-p", copy, "down", "-v", "-t", "0"));
    await p.naruOk("up", "-d");
    await p.naruOk("exec", "-T", "db", "sh", "-c", "echo first > /data/f");
    await p.naruOk("clone", copy);
    const other = `${copy}-db-1`;
    expect(await dockerOk("exec", other, "cat", "/data/f")).toBe("first");
    await dockerOk("exec", other, "sh", "-c", "echo second > /data/f");
    expect(await p.naruOk("exec", "-T", "db", "cat", "/data/f")).toBe("first");
    expect((await p.naru("clone", copy)).stderr).toContain("has containers already");
    await p.naruOk("-p", copy, "down", "-v", "-t", "0");
    expect(await p.naruOk("exec", "-T", "db", "cat", "/data/f")).toBe("first");
  },
  { skip: naruOnly("volumes are cloned") },
);

check("killed at any moment of up and down, the next one goes on from there", async (t) => {
  const file = (greeting: string): string => `
services:
  db:
    image: ${BUSYBOX}
    command: sh -c "touch /ok; sleep 600"
    init: true
    healthcheck: {test: test -e /ok, interval: 200ms, timeout: 60s}
  web:
    image: ${BUSYBOX}
    command: sleep 600
    init: true
    scale: 3
    environment: {GREETING: "${greeting}"}
    depends_on: {db: {condition: service_healthy}}
    volumes: ["data:/data"]
volumes: {data: }
`;
  const p = composeProject(t, { "compose.yaml": file("0") });
  for (const [at, ms] of [20, 60, 120, 200, 300].entries()) {
    p.write("compose.yaml", file(String(at)));
    await p.background("up", "-d").killAfter(ms);
    await p.naruOk("up", "-d");
    expect(await p.naruOk("plan")).toBe("nothing to do");
    expect(await ids(p.name)).toHaveLength(4);
    const names = await p.naruOk("ps", "--format", "{{.Name}}");
    expect(names.split("\n")).toEqual(
      ["db-1", "web-1", "web-2", "web-3"].map((n) => `${p.name}-${n}`),
    );
  }
  for (const ms of [20, 60, 120]) {
    await p.naruOk("up", "-d");
    await p.background("down", "-v", "-t", "0").killAfter(ms);
    await p.naruOk("down", "-v", "-t", "0");
    expect(await ids(p.name)).toEqual([]);
    expect(await dockerOk("network", "ls", "-q", "--filter", `name=${p.name}_`)).toBe("");
    expect(await dockerOk("volume", "ls", "-q", "--filter", `name=${p.name}_`)).toBe("");
  }
});

check(
  "docker compose builds with its own BuildKit client; naru compose finds nothing to do",
  async (t) => {
    const p = composeProject(t, {
      "app/Dockerfile": `FROM ${BUSYBOX}\nARG A\nRUN echo "$A" > /a\nCMD ["sleep", "600"]\n`,
      "compose.yaml": "services: {app: {build: {context: ./app, args: {A: given}}, init: true}}\n",
    });
    t.defer(() => docker(["rmi", "-f", `${p.name}-app`]));
    await p.dockerOk("up", "-d", "--build");
    expect(await p.naruOk("exec", "-T", "app", "cat", "/a")).toBe("given");
    expect(await p.naruOk("plan")).toBe("nothing to do");
    await p.dockerOk("down", "--rmi", "local", "-t", "0");
    expect(await dockerOk("images", "-q", `${p.name}-app`)).toBe("");
  },
  {
    skip: dockerCompose === undefined ? "docker compose is not on this machine" : undefined,
  },
);

check("up with its output: aligned names, exit codes, and Ctrl-C stops everything", async (t) => {
  const p = composeProject(t, {
    "compose.yaml": `
services:
  a: {image: ${BUSYBOX}, command: sh -c "echo from a; exit 3"}
  longer: {image: ${BUSYBOX}, command: sh -c "echo from b; sleep 600", init: true, stop_grace_period: 1s}
`,
  });
  const ended = await p.naru("up", "--exit-code-from", "a");
  expect(ended.code).toBe(3);
  const lines = ended.stdout.trim().split("\n");
  expect(lines).toContain("a-1       | from a");
  expect(lines).toContain("a-1 exited with code 3");
  const up = p.background("up");
  await until("it runs", async () => (await p.naruOk("ps", "--services")) === "longer");
  expect(await up.stop()).toBe(130);
  expect(await p.naruOk("ps", "-a", "--format", "{{.Service}} {{.State}}")).toBe(
    "a exited\nlonger exited",
  );
});

check("commit and export of a service", async (t) => {
  const p = composeProject(t, {
    "compose.yaml": `services: {a: {image: ${BUSYBOX}, command: sleep 600, init: true}}`,
  });
  const image = `${p.name}/made:1`;
  t.defer(() => docker(["rmi", "-f", image]));
  await p.naruOk("up", "-d");
  await p.naruOk("exec", "-T", "a", "sh", "-c", "echo written > /mine");
  expect(await p.naruOk("commit", "-c", "ENV FROM=compose", "a", image)).toMatch(/^sha256:/);
  expect(await dockerOk("run", "--rm", image, "sh", "-c", "cat /mine; echo $FROM")).toBe(
    "written\ncompose",
  );
  await p.naruOk("export", "-o", `${p.folder}/files.tar`, "a");
  const listed = Bun.spawnSync(["tar", "-tf", `${p.folder}/files.tar`]).stdout.toString();
  expect(listed.split("\n")).toContain("mine");
});

check("kill leaves orphans alone; with --remove-orphans they go", async (t) => {
  const service = `{image: ${BUSYBOX}, command: sleep 600, init: true}`;
  const p = composeProject(t, { "compose.yaml": `services: {a: ${service}, b: ${service}}` });
  await p.naruOk("up", "-d");
  p.write("compose.yaml", `services: {a: ${service}}`);
  await p.naruOk("kill");
  await until(
    "a is dead",
    async () => (await field(`${p.name}-a-1`, "{{.State.Running}}")) === "false",
  );
  expect(await field(`${p.name}-b-1`, "{{.State.Running}}")).toBe("true");
  await p.naruOk("kill", "--remove-orphans");
  expect(await ids(p.name)).toHaveLength(1);
});

check("a git repository gives files to -f, include and extends", async (t) => {
  const server = await gitServer({
    "compose.yaml": `services: {a: {image: ${BUSYBOX}, command: sleep 600, init: true, env_file: a.env}}\n`,
    "a.env": "FROM=elsewhere\n",
    "sub/other.yaml": `services: {b: {image: ${BUSYBOX}, volumes: ["./b:/b"]}}\n`,
  });
  t.defer(() => server.stop());
  const cache = t.folder();
  const files = {
    "compose.yaml": `
include: ["${server.url}#main:sub/other.yaml"]
services: {c: {extends: {file: "${server.url}", service: a}}}
`,
  };
  const p = composeProject(t, files, { XDG_CACHE_HOME: cache });
  const { services } = JSON.parse(await p.naruOk("config", "--format", "json"));
  expect(services.c.environment).toEqual({ FROM: "elsewhere" });
  expect(services.b.volumes[0].source).toMatch(new RegExp(`^${cache}/naru/compose/.*/sub/b$`));
  // One commit, fetched once.
  expect(server.fetches()).toBe(1);
  await p.naruOk("-f", server.url, "up", "-d");
  expect(await p.naruOk("-f", server.url, "exec", "-T", "a", "sh", "-c", "echo $FROM")).toBe(
    "elsewhere",
  );
  expect(server.fetches()).toBe(1);
  const nowhere = await p.naru("-f", `${server.url}#nowhere`, "config");
  expect(nowhere.code).not.toBe(0);
  expect(nowhere.stderr).toContain("there is no such branch or tag");
});

check("images and ps tell what docker compose's do; what is not there is an error", async (t) => {
  const p = composeProject(t, {
    "compose.yaml": `services: {a: {image: ${BUSYBOX}, command: sleep 600, init: true, volumes: ["d:/d"]}}\nvolumes: {d: {}}\n`,
  });
  expect((await p.naru("start")).code).toBe(1);
  const nobody = await p.naru("up", "--exit-code-from", "nobody");
  expect([nobody.code, nobody.stderr.trim()]).toEqual([1, 'no such service: "nobody"']);
  await p.naruOk("up", "-d");
  const [image] = JSON.parse(await p.naruOk("images", "--format", "json"));
  expect(image.ID).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(Object.keys(image).toSorted()).toEqual([
    "ContainerName",
    "ID",
    "LastTagTime",
    "Platform",
    "Repository",
    "Size",
    "Tag",
  ]);
  const container = JSON.parse(await p.naruOk("ps", "--format", "json"));
  expect(container).toMatchObject({
    Networks: `${p.name}_default`,
    Mounts: `${p.name}_d`,
    LocalVolumes: "1",
  });
});

check("what lies on another machine is refused by name", async (t) => {
  const p = composeProject(t, {
    "compose.yaml": `include: ["https://example.com/app.yaml"]\nservices: {a: {image: ${BUSYBOX}}}\n`,
  });
  const out = await p.naru("config");
  expect(out.code).not.toBe(0);
  expect(out.stderr).toContain("https://example.com/app.yaml");
  const other = await p.naru("-f", "oci://registry.example/app", "config");
  expect(other.code).not.toBe(0);
  expect(other.stderr).toContain("oci://registry.example/app");
});

check("links: a second name is known to the linking service alone", async (t) => {
  const service = `image: ${BUSYBOX}, command: sleep 600, init: true`;
  const file = (link: string, rest = ""): string =>
    `services: {a: {${service}, links: ["${link}"]${rest}}, b: {${service}${rest}}}`;
  const p = composeProject(t, { "compose.yaml": file("b") });
  const ping = (from: string, name: string): Promise<string> =>
    p.naruOk("exec", "-T", from, "ping", "-c", "1", "-W", "5", name);
  await p.naruOk("up", "-d");
  await p.naruOk("up", "-d", "--force-recreate");
  expect(await ping("a", "b")).toContain("1 packets received");
  p.write("compose.yaml", file("b:other"));
  await p.naruOk("up", "-d");
  expect(await ping("a", "other")).toContain("1 packets received");
  expect((await p.naru("exec", "-T", "b", "ping", "-c", "1", "other")).code).not.toBe(0);
  await p.naruOk("down");
  p.write("compose.yaml", file("b:other", ", network_mode: bridge"));
  await p.naruOk("up", "-d");
  expect(await ping("a", "other")).toContain("1 packets received");
});
