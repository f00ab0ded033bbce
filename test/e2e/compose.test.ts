/** naru compose against the engine, and docker compose beside it on the same projects. */
import { expect } from "bun:test";

import { BUSYBOX, check, docker, dockerOk, field, inspect, until } from "../harness/check.ts";
import { composeProject, containerIds as ids, dockerCompose } from "../harness/compose.ts";

const needsDocker =
  dockerCompose === undefined ? "docker compose is not on this machine (E2E_COMPOSE)" : undefined;

const APP = `
services:
  web:
    image: ${BUSYBOX}
    command: sh -c "echo up; while true; do sleep 1; done"
    init: true
    depends_on:
      db: {condition: service_healthy, restart: true}
      job: {condition: service_completed_successfully}
    networks: [front, default]
    volumes: ["data:/data", "/anon", "./here:/here"]
    ports: ["127.0.0.1::80"]
    environment: {GREETING: "hello \${WHO:-world}", FROM_SHELL: }
    env_file: [{path: web.env, required: false}]
    deploy: {replicas: 2}
  db:
    image: ${BUSYBOX}
    command: sh -c "touch /ok; sleep 600"
    init: true
    healthcheck: {test: test -e /ok, interval: 1s, timeout: 60s}
    stop_grace_period: 1s
    post_start: [{command: touch /hooked}]
  job: {image: ${BUSYBOX}, command: "true"}
networks: {front: {labels: {a: b}}}
volumes: {data: {labels: {x: y}}}
`;

check("up, ps, exec, logs, down: nothing is left", async (t) => {
  const p = composeProject(t, { "compose.yaml": APP }, { WHO: "ferry", FROM_SHELL: "yes" });
  await p.naruOk("up", "-d");
  expect(await p.naruOk("ps", "--format", "{{.Service}} {{.State}}")).toBe(
    "db running\nweb running\nweb running",
  );
  expect(await p.naruOk("exec", "-T", "web", "sh", "-c", "echo $GREETING $FROM_SHELL")).toBe(
    "hello ferry yes",
  );
  expect((await p.naru("exec", "-T", "db", "sh", "-c", "exit 7")).code).toBe(7);
  expect(await p.naruOk("exec", "-T", "db", "ls", "/hooked")).toBe("/hooked");
  await until("both have spoken", async () => {
    const text = await p.naruOk("logs", "--no-color", "web");
    return text.split("\n").toSorted().join() === "web-1  | up,web-2  | up";
  });
  await p.naruOk("down", "-v", "-t", "0");
  expect(await ids(p.name)).toEqual([]);
  expect(await dockerOk("network", "ls", "-q", "--filter", `name=${p.name}_`)).toBe("");
  expect(await dockerOk("volume", "ls", "-q", "--filter", `name=${p.name}_`)).toBe("");
});

check("up again does nothing, and the plan says so", async (t) => {
  const p = composeProject(t, { "compose.yaml": APP });
  expect(await p.naruOk("plan")).toContain(`+ container ${p.name}-db-1`);
  await p.naruOk("up", "-d");
  expect(await p.naruOk("plan")).toBe("nothing to do");
  const before = await ids(p.name);
  await p.naruOk("up", "-d");
  expect(await ids(p.name)).toEqual(before);
});

check("a changed service is recreated with its anonymous volume, the others stay", async (t) => {
  const p = composeProject(t, { "compose.yaml": APP });
  await p.naruOk("up", "-d");
  const web = await field(`${p.name}-web-1`, "{{.Id}}");
  const db = await field(`${p.name}-db-1`, "{{.Id}}");
  await p.naruOk("exec", "-T", "web", "touch", "/anon/kept");
  p.write("web.env", "MORE=1\n");
  expect(await p.naruOk("plan")).toContain("its configuration has changed");
  await p.naruOk("up", "-d");
  expect(await field(`${p.name}-web-1`, "{{.Id}}")).not.toBe(web);
  expect(await field(`${p.name}-db-1`, "{{.Id}}")).toBe(db);
  expect(await p.naruOk("exec", "-T", "web", "sh", "-c", "ls /anon; echo $MORE")).toBe("kept\n1");
});

check("labels and names are those of docker compose", async (t) => {
  const p = composeProject(t, { "compose.yaml": APP });
  await p.naruOk("up", "-d");
  const { Config: config } = await inspect<{ Config: { Labels: Record<string, string> } }>(
    `${p.name}-web-2`,
  );
  expect(config.Labels).toMatchObject({
    "com.docker.compose.project": p.name,
    "com.docker.compose.service": "web",
    "com.docker.compose.container-number": "2",
    "com.docker.compose.oneoff": "False",
    "com.docker.compose.project.working_dir": p.folder,
    "com.docker.compose.project.config_files": `${p.folder}/compose.yaml`,
  });
  expect(config.Labels["com.docker.compose.depends_on"]).toContain("db:service_healthy:true");
  const hash = await field(
    `${p.name}-db-1`,
    '{{index .Config.Labels "com.docker.compose.config-hash"}}',
  );
  expect(await p.naruOk("config", "--hash", "db")).toBe(`db ${hash}`);
  if (dockerCompose === undefined) return;
  // Without what env_file says, in both.
  expect(await p.naruOk("config", "--hash", "*")).toBe(await p.dockerOk("config", "--hash", "*"));
});

check("scale, stop, start, restart, pause, kill, rm", async (t) => {
  const p = composeProject(t, {
    "compose.yaml": `services: {a: {image: ${BUSYBOX}, command: sleep 600, init: true}}`,
  });
  const states = (): Promise<string> => p.naruOk("ps", "-a", "--format", "{{.Name}} {{.State}}");
  await p.naruOk("up", "-d", "--scale", "a=2");
  await p.naruOk("scale", "a=3");
  expect((await states()).split("\n")).toHaveLength(3);
  await p.naruOk("scale", "a=1");
  expect(await states()).toBe(`${p.name}-a-1 running`);
  await p.naruOk("pause");
  expect(await states()).toBe(`${p.name}-a-1 paused`);
  await p.naruOk("unpause");
  await p.naruOk("stop", "-t", "1");
  expect(await states()).toBe(`${p.name}-a-1 exited`);
  await p.naruOk("start");
  const began = await field(`${p.name}-a-1`, "{{.State.StartedAt}}");
  await p.naruOk("restart", "-t", "1");
  expect(await field(`${p.name}-a-1`, "{{.State.StartedAt}}")).not.toBe(began);
  await p.naruOk("kill");
  await until("it is dead", async () => (await states()).endsWith("exited"));
  await p.naruOk("rm", "-f");
  expect(await states()).toBe("");
});

check("run: a container of its own, its exit code, nothing left with --rm", async (t) => {
  const p = composeProject(t, { "compose.yaml": APP });
  const out = await p.naru("run", "--rm", "-T", "-e", "X=5", "web", "sh", "-c", "echo $X; exit 3");
  expect(out.stdout.trim()).toBe("5");
  expect(out.code).toBe(3);
  expect(await p.naruOk("ps", "--format", "{{.Service}}")).toBe("db");
  expect(await p.naruOk("ps", "-a", "--format", "{{.Service}}")).toBe("db\njob");
});

check("secrets and configs: mounted files, content, uid and mode", async (t) => {
  const p = composeProject(
    t,
    {
      "compose.yaml": `
services:
  a:
    image: ${BUSYBOX}
    command: sleep 600
    init: true
    secrets: [plain, {source: own, uid: "1000", gid: "50", mode: 0400}, token]
    configs: [{source: conf, target: /etc/app/conf, mode: 0644}]
secrets: {plain: {file: ./s}, own: {file: ./s}, token: {environment: TOKEN}}
configs: {conf: {content: "port=\${PORT:-80}"}}
`,
      s: "secret",
    },
    { TOKEN: "t0k" },
  );
  await p.naruOk("up", "-d");
  const script =
    "cat /run/secrets/plain /run/secrets/own /run/secrets/token /etc/app/conf; stat -c '%u %g %a' /run/secrets/own";
  expect(await p.naruOk("exec", "-T", "a", "sh", "-c", script)).toBe(
    "secretsecrett0kport=801000 50 400",
  );
});

check(
  "a service that never gets healthy: who waits for it is not started, the error says why",
  async (t) => {
    const p = composeProject(t, {
      "compose.yaml": `
services:
  bad:
    image: ${BUSYBOX}
    command: sleep 600
    init: true
    healthcheck: {test: "echo broken; exit 1", interval: 100ms, timeout: 60s, retries: 1}
  web: {image: ${BUSYBOX}, command: sleep 600, init: true, depends_on: {bad: {condition: service_healthy}}}
`,
    });
    const out = await p.naru("up", "-d");
    expect(out.code).toBe(1);
    expect(out.stderr).toContain(`"${p.name}-bad-1" is unhealthy: broken`);
    expect(await field(`${p.name}-web-1`, "{{.State.Status}}")).toBe("created");
  },
);

check("rolling: a new container that fails is taken back, the old one runs on", async (t) => {
  const file = (command: string, test: string): string => `
services:
  web:
    image: ${BUSYBOX}
    command: ${command}
    init: true
    healthcheck: {test: "${test}", interval: 100ms, timeout: 60s, retries: 2}
    deploy: {update_config: {order: start-first}}
`;
  const p = composeProject(t, { "compose.yaml": file("sleep 600", "true") });
  await p.naruOk("up", "-d", "--wait");
  const old = await field(`${p.name}-web-1`, "{{.Id}}");
  p.write("compose.yaml", file("sleep 601", "false"));
  const out = await p.naru("up", "-d");
  expect(out.code).toBe(1);
  expect(out.stderr).toContain("did not prove itself");
  expect(await ids(p.name)).toEqual([old]);
  expect(await field(`${p.name}-web-1`, "{{.State.Status}}")).toBe("running");
  p.write("compose.yaml", file("sleep 602", "true"));
  await p.naruOk("up", "-d");
  expect(await ids(p.name)).toHaveLength(1);
  expect(await field(`${p.name}-web-1`, "{{.Id}}")).not.toBe(old);
});

check("orphans are named, and go with --remove-orphans", async (t) => {
  const service = `{image: ${BUSYBOX}, command: sleep 600, init: true}`;
  const p = composeProject(t, { "compose.yaml": `services: {a: ${service}, b: ${service}}` });
  await p.naruOk("up", "-d");
  p.write("compose.yaml", `services: {a: ${service}}`);
  expect((await p.naru("up", "-d")).stderr).toContain(`${p.name}-b-1; remove them with`);
  await p.naruOk("up", "-d", "--remove-orphans");
  expect(await ids(p.name)).toHaveLength(1);
});

check("errors of the file name their line", async (t) => {
  const p = composeProject(t, {
    "compose.yaml": `services:\n  web:\n    image: x\n    prots: ["80"]\n`,
  });
  const out = await p.naru("config");
  expect(out.code).toBe(1);
  expect(out.stderr.trim()).toBe(
    `"${p.folder}/compose.yaml", line 4: services.web.prots: unknown attribute; did you mean "ports"?`,
  );
});

check(
  "docker compose leaves alone what naru compose made, and the other way round",
  async (t) => {
    const p = composeProject(t, { "compose.yaml": APP }, { FROM_SHELL: "yes" });
    const stay = async (): Promise<string[]> =>
      await Promise.all(
        [`${p.name}-web-1`, `${p.name}-web-2`, `${p.name}-db-1`].map((name) =>
          field(name, "{{.Id}}"),
        ),
      );
    await p.naruOk("up", "-d");
    const first = await stay();
    await p.dockerOk("up", "-d");
    expect(await stay()).toEqual(first);
    await p.dockerOk("down", "-t", "0");
    expect(await ids(p.name)).toEqual([]);
    await p.dockerOk("up", "-d");
    const second = await stay();
    expect(await p.naruOk("plan")).toBe("nothing to do");
    await p.naruOk("up", "-d");
    expect(await stay()).toEqual(second);
    await p.naruOk("down", "-t", "0", "-v");
    expect(await ids(p.name)).toEqual([]);
  },
  { skip: needsDocker },
);

check(
  "docker compose: an ordinary session",
  async (t) => {
    const p = composeProject(t, { "compose.yaml": APP });
    await p.dockerOk("up", "-d", "--wait", "web");
    expect((await p.dockerOk("ps", "--format", "{{.Service}}")).split("\n").toSorted()).toEqual([
      "db",
      "web",
      "web",
    ]);
    expect(await p.dockerOk("exec", "-T", "web", "echo", "in")).toBe("in");
    expect(await p.dockerOk("exec", "-T", "web", "ping", "-c", "1", "db")).toContain("1 packets");
    expect(await p.dockerOk("run", "--rm", "-T", "db", "echo", "once")).toBe("once");
    await until("its word", async () =>
      (await p.dockerOk("logs", "--no-log-prefix", "web")).includes("up"),
    );
    await p.dockerOk("up", "-d", "--scale", "web=3");
    expect((await p.dockerOk("ps", "-q", "web")).split("\n")).toHaveLength(3);
    await p.dockerOk("restart", "-t", "0", "web");
    await p.dockerOk("pause", "db");
    await p.dockerOk("unpause", "db");
    expect(await p.dockerOk("top", "db")).toContain("sleep");
    expect(await p.dockerOk("port", "web", "80")).toMatch(/^127\.0\.0\.1:\d+$/);
    await p.dockerOk("cp", "compose.yaml", "web:/tmp/");
    expect(await p.dockerOk("exec", "-T", "web", "ls", "/tmp")).toBe("compose.yaml");
    await p.dockerOk("kill", "db");
    await p.dockerOk("stop", "-t", "0");
    await p.dockerOk("rm", "-f");
    await p.dockerOk("down", "-v", "-t", "0");
    expect(await ids(p.name)).toEqual([]);
  },
  { skip: needsDocker },
);

check("down takes containers that are in the way of nobody, and keeps foreign ones", async (t) => {
  const p = composeProject(t, {
    "compose.yaml": `services: {a: {image: ${BUSYBOX}, command: sleep 600, init: true}}`,
  });
  await p.naruOk("up", "-d");
  const guest = await t.up("--network", `${p.name}_default`, BUSYBOX, "sleep", "600");
  const out = await p.naru("down", "-t", "0");
  expect(out.stderr).toContain(`is still used by "${guest}"`);
  expect(await field(guest, "{{.State.Status}}")).toBe("running");
  await docker(["rm", "-f", guest]);
  await p.naruOk("down");
});
