/** Contexts, hostile ones too; builds at the same time; what only naru does. */
import { expect } from "bun:test";
import { symlinkSync } from "node:fs";

import { buildIn, built, inside, post, write } from "../harness/build.ts";
import {
  BUSYBOX,
  api,
  check,
  docker,
  dockerOk,
  engine,
  naruOnly,
  run,
  skipOn,
  until,
} from "../harness/check.ts";
import { clientBinary } from "../harness/client-binary.ts";
import { clientEnv } from "../harness/client.ts";
import { type TarEntry, writeTar } from "../harness/tar.ts";

check("a Dockerfile by standard input", async (t) => {
  const image = `${t.name()}:1`;
  t.defer(() => docker(["rmi", "-f", image]));
  const out = await docker(["build", "-t", image, "-"], {
    stdin: `FROM ${BUSYBOX}\nRUN echo piped > /p\n`,
    env: { DOCKER_BUILDKIT: "0" },
  });
  expect(out.code).toBe(0);
  expect(await inside(image, "cat /p")).toBe("piped");
});

check("a context by standard input, compressed", async (t) => {
  const image = `${t.name()}:1`;
  t.defer(() => docker(["rmi", "-f", image]));
  const tar = writeTar([
    { name: "Dockerfile", body: `FROM ${BUSYBOX}\nCOPY f /f\n` },
    { name: "f", body: "from a tar" },
  ]);
  const out = await docker(["build", "-t", image, "-"], {
    stdin: Bun.gzipSync(new Uint8Array(tar)),
    env: { DOCKER_BUILDKIT: "0" },
  });
  expect(out.code).toBe(0);
  expect(await inside(image, "cat /f")).toBe("from a tar");
});

for (const [what, query, words, entries] of [
  [
    "an unknown instruction",
    "",
    /unknown instruction: RUNN/i,
    [{ name: "Dockerfile", body: "FROM scratch\nRUNN x\n" }],
  ],
  ["no Dockerfile", "", /Cannot locate specified Dockerfile/, [{ name: "f", body: "" }]],
  ["an empty Dockerfile", "", /cannot be empty/, [{ name: "Dockerfile", body: "" }]],
  ["a bad tag", "t=BAD", /must be lowercase/, [{ name: "Dockerfile", body: "FROM scratch\n" }]],
  ["squashing", "squash=1", /squash/, [{ name: "Dockerfile", body: "FROM scratch\n" }]],
] as const) {
  check(`${what} is answered with a status`, async () => {
    const { status, text } = await post(entries, query);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(text).toMatch(words);
  });
}

check("nothing but scratch is no image", async () => {
  const { text } = await post([{ name: "Dockerfile", body: "FROM scratch\n" }]);
  expect(text).toContain("No image was generated");
});

for (const [what, entry] of [
  ["above itself", { name: "../up", body: "x" }],
  ["through a symlink to outside", { name: "l/f", body: "x" }],
  ["a device", { name: "dev", type: "char", device: [1, 3] }],
] as const) {
  check(
    `a context that holds ${what} is refused or stays inside`,
    async () => {
      const { text } = await post([
        { name: "l", type: "symlink", target: "/tmp" },
        entry as TarEntry,
        { name: "Dockerfile", body: `FROM ${BUSYBOX}\nCOPY . /c\nRUN ls /c\n` },
      ]);
      expect(text).toMatch(/"message"|"error"|Successfully built/);
      expect((await run([...engine.enter, "ls", "/tmp/f"])).code).not.toBe(0);
    },
    { skip: skipOn("docker20 docker28", "they unpack in a root of their own") },
  );
}

check("a symlink loop in the context is copied, not followed", async (t) => {
  const folder = write(t.folder(), { Dockerfile: `FROM ${BUSYBOX}\nCOPY . /c\n` });
  symlinkSync("b", `${folder}/a`);
  symlinkSync("a", `${folder}/b`);
  const out = await buildIn(t, folder);
  expect(await inside(out.image, "readlink /c/a")).toBe("b");
});

check("an image that was built can be saved and loaded", async (t) => {
  const out = await built(t, `FROM {base}\nRUN echo ${t.name()} > /f; mkdir /d; rm /bin/ls\n`);
  const file = `${t.folder()}/i.tar`;
  await dockerOk("save", "-o", file, out.image);
  const text = await inside(out.image, "cat /f");
  await dockerOk("rmi", out.image);
  await dockerOk("load", "-i", file);
  expect(await inside(out.image, "cat /f; test -e /bin/ls || echo gone")).toBe(`${text}\ngone`);
});

check("a client that leaves ends its build", async (t) => {
  const mark = `59${Math.trunc(Math.random() * 1e6)}`;
  const folder = write(t.folder(), { Dockerfile: `FROM ${BUSYBOX}\nRUN sleep ${mark}\n` });
  const client = Bun.spawn([clientBinary(), "build", "--no-cache", folder], {
    env: { ...process.env, ...clientEnv, DOCKER_BUILDKIT: "0" },
    stdio: ["ignore", "ignore", "ignore"],
  });
  const isRunning = async (): Promise<boolean> =>
    (await run(["pgrep", "-fx", `sleep ${mark}`])).stdout !== "";
  await until("the step to run", isRunning);
  client.kill("SIGKILL");
  expect(await client.exited).not.toBe(0);
  await until("its process to end", async () => !(await isRunning()));
});

check("builds at the same time do not mix", async (t) => {
  const marks = ["x", "y", "z"].map((letter) => `${t.name()}${letter}`);
  const outs = await Promise.all(
    marks.map((mark) => built(t, `FROM {base}\nRUN echo ${mark} > /m; sleep 0.2\n`)),
  );
  for (const [index, out] of outs.entries()) {
    expect(await inside(out.image, "cat /m")).toBe(marks[index] ?? "");
  }
});

check(
  "equal steps of builds at the same time run once",
  async (t) => {
    const folder = write(t.folder(), {
      Dockerfile: `FROM ${BUSYBOX}\nRUN sleep 0.7; date +%N > /when; echo ${t.name()}\n`,
    });
    const outs = await Promise.all([buildIn(t, folder), buildIn(t, folder), buildIn(t, folder)]);
    const times = await Promise.all(outs.map(({ image }) => inside(image, "cat /when")));
    expect(new Set(times).size).toBe(1);
  },
  { skip: naruOnly("the classic builder runs each") },
);

check(
  "stages that do not need each other run at once",
  async (t) => {
    // Each waits for all: one after the other they would never end.
    const mount = `--mount=type=cache,id=${t.name()},target=/m`;
    const met = "until test -e /m/a -a -e /m/b -a -e /m/c; do sleep 0.1; done";
    const stage = (name: string): string =>
      `FROM {base} AS ${name}\nRUN ${mount} touch /m/${name} /${name}; ${met}\n`;
    const out = await built(
      t,
      `${stage("a")}${stage("b")}${stage("c")}FROM {base}\nCOPY --from=a /a /\nCOPY --from=b /b /\nCOPY --from=c /c /\n`,
      {},
      ["--no-cache"],
    );
    expect(await inside(out.image, "ls -d /a /b /c")).toBe("/a\n/b\n/c");
  },
  { skip: naruOnly("the classic builder goes stage by stage") },
);

check(
  "mounts of RUN: cache, tmpfs, bind, here-documents",
  async (t) => {
    const id = t.name();
    const dockerfile = `FROM {base}
RUN --mount=type=cache,id=${id},target=/c echo x >> /c/n && wc -l < /c/n > /count
RUN --mount=type=tmpfs,target=/t touch /t/x
RUN --mount=type=bind,target=/b cat /b/f > /f
RUN --mount=type=bind,target=/b,rw echo scratch > /b/new
WORKDIR /w
RUN --mount=type=bind cp f /g
WORKDIR /
RUN <<EOT
echo one > /h
echo two >> /h
EOT
COPY <<EOT /i
inline $HOME
EOT
`;
    const out = await built(t, dockerfile, { f: `bound ${id}` });
    const again = await built(t, dockerfile, { f: `bound ${id}` }, ["--no-cache"]);
    const script = "cmp /f /g && ls /w; cat /f /h /i; ls -A / | grep -cE '^(c|t|b)$'; true";
    expect(await inside(out.image, script)).toBe(`bound ${id}one\ntwo\ninline \n0`);
    expect(await inside(again.image, "cat /count")).toBe("2");
  },
  { skip: skipOn("docker20 docker28", "the classic builder knows no mounts") },
);

check("the build cache is listed and pruned", async (t) => {
  await built(t, `FROM {base}\nRUN echo ${t.name()} > /f\n`);
  const { text } = await api("GET", "/system/df");
  expect(JSON.parse(text)).toHaveProperty("BuildCache");
  const reply = await api(
    "POST",
    `/build/prune?filters=${encodeURIComponent('{"until":["24h"]}')}`,
  );
  expect(reply.status).toBe(200);
  expect(JSON.parse(reply.text)).toHaveProperty("SpaceReclaimed");
});
