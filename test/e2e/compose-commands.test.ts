/** naru compose's commands where docker compose's habits decide: whom they mean, how they end. */
import { expect } from "bun:test";

import { BUSYBOX, check, docker, dockerOk, field, until } from "../harness/check.ts";
import { composeProject, containerIds as ids } from "../harness/compose.ts";

const sleeper = (rest = ""): string =>
  `{image: ${BUSYBOX}, command: sleep 600, init: true, stop_grace_period: 1s${rest}}`;

check("services that profiles leave out are left alone, with their volumes", async (t) => {
  const p = composeProject(t, {
    "compose.yaml": `
services:
  a: ${sleeper()}
  tool: ${sleeper(', profiles: [tools], volumes: ["kept:/v"], networks: [own]')}
volumes: {kept: {}}
networks: {own: {}}
`,
  });
  const states = (): Promise<string> => p.naruOk("ps", "-a", "--format", "{{.Service}} {{.State}}");
  await p.naruOk("up", "-d", "a", "tool");
  const began = await field(`${p.name}-tool-1`, "{{.State.StartedAt}}");
  await p.naruOk("pause");
  expect(await states()).toBe("a paused\ntool running");
  await p.naruOk("unpause");
  await p.naruOk("restart", "-t", "0");
  await p.naruOk("stop", "-t", "0");
  expect(await states()).toBe("a exited\ntool running");
  await p.naruOk("rm", "-f");
  await p.naruOk("down", "-v", "-t", "0");
  expect(await states()).toBe("tool running");
  expect(await field(`${p.name}-tool-1`, "{{.State.StartedAt}}")).toBe(began);
  expect(await dockerOk("volume", "inspect", "-f", "{{.Name}}", `${p.name}_kept`)).toBe(
    `${p.name}_kept`,
  );
  await p.naruOk("stop", "-t", "0", "tool");
  expect(await states()).toBe("tool exited");
  await p.naruOk("--profile", "tools", "down", "-v", "-t", "0");
  expect(await ids(p.name)).toEqual([]);
  expect((await docker(["volume", "inspect", `${p.name}_kept`])).code).toBe(1);
});

check("orphans run on, on their network, and keep their volumes", async (t) => {
  const p = composeProject(t, {
    "compose.yaml": `services: {a: ${sleeper()}}`,
    "more.yaml": `services: {b: ${sleeper(', volumes: ["data:/d"]')}}\nvolumes: {data: {}}\n`,
  });
  await p.naruOk("-f", "compose.yaml", "-f", "more.yaml", "up", "-d");
  await p.naruOk("stop", "-t", "0");
  expect(await field(`${p.name}-b-1`, "{{.State.Running}}")).toBe("true");
  await p.naruOk("rm", "-fs");
  const down = await p.naru("down", "-v", "-t", "0");
  expect(down.code).toBe(0);
  expect(down.stderr).toContain(`Network ${p.name}_default  In use`);
  expect(down.stderr).not.toContain(`Network ${p.name}_default  Removed`);
  expect(await field(`${p.name}-b-1`, "{{len .NetworkSettings.Networks}}")).toBe("1");
  expect(await dockerOk("volume", "ls", "-q", "--filter", `name=${p.name}_data`)).toBe(
    `${p.name}_data`,
  );
  await p.naruOk("-f", "compose.yaml", "-f", "more.yaml", "down", "-v", "-t", "0");
  expect(await ids(p.name)).toEqual([]);
});

check("up with output ends as it is asked to, with the exit code that counts", async (t) => {
  const p = composeProject(t, {
    "compose.yaml": `
services:
  quiet: {image: ${BUSYBOX}, command: "true", attach: false}
  a:
    image: ${BUSYBOX}
    command: sh -c "echo from a; exit 3"
    depends_on: {quiet: {condition: service_completed_successfully}}
  b: {image: ${BUSYBOX}, command: sh -c "trap 'exit 5' TERM; while true; do sleep 0.1; done"}
`,
  });
  const aborted = await p.naru("up", "--abort-on-container-exit");
  expect(aborted.code).toBe(3);
  // The first that ends stops all; the code is that of the service that was named.
  expect((await p.naru("up", "--exit-code-from", "b")).code).toBe(5);
  const alone = await p.naru("up", "a");
  expect(alone.code).toBe(0);
  expect(alone.stdout).toContain("from a");
  for (const words of [
    ["-d", "--abort-on-container-exit"],
    ["--wait", "--attach", "a"],
    ["--attach", "nobody"],
    ["-d", "--pull", "sometimes"],
  ]) {
    // oxlint-disable-next-line no-await-in-loop -- one project, one command at a time
    const refused = await p.naru("up", ...words);
    expect([words, refused.code === 0]).toEqual([words, false]);
  }
});

check(
  "run waits for its dependencies, takes a file of variables; what is unknown is refused",
  async (t) => {
    const p = composeProject(t, {
      "compose.yaml": `
services:
  job: {image: ${BUSYBOX}, command: "false"}
  web: {image: ${BUSYBOX}, depends_on: {job: {condition: service_completed_successfully}}}
`,
      "more.env": "A=from file\nB=${A} too\n",
    });
    const failed = await p.naru("run", "--rm", "-T", "web", "true");
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain("did not complete successfully");
    const run = (words: string, ...command: string[]): Promise<{ stdout: string }> =>
      p.naru("run", ...words.split(" "), "web", ...command);
    const out = await run(
      "--rm -T --no-deps --env-from-file more.env -e A=own",
      "sh",
      "-c",
      'echo "$A, $B"',
    );
    expect(out.stdout).toBe("own, from file too\n");
    expect((await p.naru("ps", "--filter", "colour=red")).code).not.toBe(0);
    expect((await p.naru("ls", "--filter", "colour=red")).code).not.toBe(0);
    expect((await p.naru("logs", "--index", "7", "web")).code).toBe(1);
  },
);

check("cp to a service goes to all of its containers", async (t) => {
  const p = composeProject(t, { "compose.yaml": `services: {a: ${sleeper()}}`, f: "text" });
  await p.naruOk("up", "-d", "--scale", "a=2");
  await p.naruOk("cp", "f", "a:/tmp/all");
  await p.naruOk("cp", "--index", "1", "f", "a:/tmp/one");
  const seen = (index: string): Promise<string> =>
    p.naruOk("exec", "-T", "--index", index, "a", "ls", "/tmp");
  expect([await seen("1"), await seen("2")]).toEqual(["all\none", "all"]);
});

check("logs -f goes on through a restart, and ends with the last container", async (t) => {
  const p = composeProject(t, {
    "compose.yaml": `services: {a: {image: ${BUSYBOX}, command: sh -c "echo begun; exec sleep 600", init: true}}`,
  });
  await p.naruOk("up", "-d");
  const following = p.naru("logs", "-f", "--no-log-prefix", "a");
  const shows = async (count: number): Promise<void> => {
    await until(`${String(count)} starts`, async () => {
      const text = await p.naruOk("logs", "--no-log-prefix", "a");
      return text.split("\n").length === count;
    });
  };
  await shows(1);
  await dockerOk("restart", "-t", "0", `${p.name}-a-1`);
  await shows(2);
  await p.naruOk("restart", "-t", "0");
  await shows(3);
  await p.naruOk("kill");
  const { stdout, code } = await following;
  expect(code).toBe(0);
  expect(stdout.match(/begun/g)).toHaveLength(3);
});
