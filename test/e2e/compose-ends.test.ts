/** How commands of naru compose end: whom rm takes, what wait says, when nobody reads. */
import { expect } from "bun:test";

import { BUSYBOX, check } from "../harness/check.ts";
import { clientEnv } from "../harness/client.ts";
import { composeProject, containerIds as ids } from "../harness/compose.ts";
import { naruBinary } from "../harness/naru.ts";
import { run } from "../harness/process.ts";

check("up ends when nobody reads its output any more, and the containers run on", async (t) => {
  const p = composeProject(t, {
    "compose.yaml": `
services:
  a: {image: ${BUSYBOX}, command: sleep 600, init: true}
  talks: {image: ${BUSYBOX}, command: "sh -c 'while :; do echo line; sleep 0.1; done'", init: true}
`,
  });
  const script = '"$0" compose up 2>/dev/null | true; echo "${PIPESTATUS[0]}"';
  const out = await run(["bash", "-c", script, naruBinary()], {
    cwd: p.folder,
    env: { ...clientEnv, COMPOSE_PROJECT_NAME: p.name },
  });
  expect(out.stdout.trim()).toBe("141");
  await p.naruOk("up", "-d");
  expect(await p.naruOk("ps", "--format", "{{.Service}} {{.State}}")).toBe(
    "a running\ntalks running",
  );
});

check("rm leaves what run has made; wait says whose end it was", async (t) => {
  const p = composeProject(t, {
    "compose.yaml": `services: {a: {image: ${BUSYBOX}, command: "sh -c 'exit 3'"}}`,
  });
  await p.naruOk("run", "-T", "--name", `${p.name}-kept`, "a", "true");
  await p.naruOk("up", "--no-start");
  expect(await ids(p.name)).toHaveLength(2);
  await p.naruOk("rm", "-f");
  expect(await ids(p.name)).toHaveLength(1);
  const nobody = await p.naru("down", "nobody");
  expect([nobody.code, nobody.stderr.trim()]).toEqual([1, 'no such service: "nobody"']);
  await p.naruOk("up", "-d");
  const told = await p.naru("wait", "a");
  expect([told.code, told.stdout]).toEqual([
    3,
    expect.stringMatching(/^container "[0-9a-f]{64}" exited with status code 3\n$/),
  ]);
});
