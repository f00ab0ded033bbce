/** `naru build --watch` and `naru image explain`: a developer's and a CI's look at a build. */
import { expect } from "bun:test";
import { writeFileSync } from "node:fs";

import { write } from "../harness/build.ts";
import { BUSYBOX, check, docker, engine, naruOnly, run, until } from "../harness/check.ts";
import { naruBinary } from "../harness/naru.ts";

const OWN = { skip: naruOnly("commands of naru alone") };
const env = { NARU_HOST: engine.host };

check(
  "build --watch builds again at a change that the build reads, and at no other; Ctrl-C ends it with 0",
  async (t) => {
    const folder = write(t.folder(), {
      Dockerfile: `FROM ${BUSYBOX}\nCOPY src /src\nRUN cat /src/a\n`,
      ".dockerignore": "src/ignored\n",
      "src/a": "first\n",
      other: "",
    });
    const image = `${t.name()}:1`;
    t.defer(() => docker(["rmi", "-f", image]));
    const child = Bun.spawn([naruBinary(), "build", "--watch", "-t", image, "."], {
      cwd: folder,
      env: { ...process.env, ...env },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    t.defer(() => {
      child.kill("SIGKILL");
      return child.exited;
    });
    let said = "";
    void (async () => {
      for await (const bytes of child.stderr) said += Buffer.from(bytes).toString();
    })();
    const waits = (count: number): Promise<unknown> =>
      until(`${count} builds`, () => said.split("watching for changes").length > count);
    await waits(1);
    expect(said).toContain(" first\n");
    writeFileSync(`${folder}/src/ignored`, "x");
    writeFileSync(`${folder}/other`, "x");
    await Bun.sleep(700);
    expect(said).not.toContain("changed:");
    writeFileSync(`${folder}/src/a`, "second\n");
    await waits(2);
    expect(said).toContain("changed: src/a\n");
    expect(said).toContain(" second\n");
    writeFileSync(`${folder}/Dockerfile`, `FROM ${BUSYBOX}\nRUN exit 3\n`);
    await waits(3);
    expect(said).toContain("returned a non-zero code: 3");
    child.kill("SIGINT");
    expect(await child.exited).toBe(0);
  },
  OWN,
);

check(
  "image explain tells of a key that was deleted and of a cache; --fail-on makes an exit code of it",
  async (t) => {
    const key = `-----BEGIN ${"PRIVATE"} KEY-----\n${"A".repeat(64)}\n`;
    const folder = write(t.folder(), {
      Dockerfile: [
        `FROM ${BUSYBOX}`,
        "COPY key.pem /app/key.pem",
        "RUN rm /app/key.pem",
        "RUN mkdir -p /root/.cache/tool && head -c 300000 /dev/zero > /root/.cache/tool/f",
        "",
      ].join("\n"),
      "key.pem": key,
    });
    const image = `${t.name()}:1`;
    t.defer(() => docker(["rmi", "-f", image]));
    const built = await run([naruBinary(), "build", "-q", "-t", image, folder], { env });
    expect(built.code).toBe(0);
    const explain = (...args: string[]) =>
      run([naruBinary(), "image", "explain", ...args, image], { env });
    const table = await explain();
    expect(table.code).toBe(0);
    expect(table.stdout).toMatch(/COPY key.pem \/app\/key.pem/);
    expect(table.stdout).toMatch(
      /secret: private key .*\/app\/key.pem:1 \(#\d+, deleted by #\d+ but still in the layer\)/,
    );
    expect(table.stdout).toMatch(/cache: .* 300kB \/root\/.cache\//);
    expect((await explain("--fail-on", "secrets")).code).toBe(3);
    expect((await explain("--fail-on", "duplicates")).code).toBe(0);
    expect((await explain("--fail-on", "nonsense")).code).not.toBe(0);
    const json = JSON.parse((await explain("--format", "json")).stdout) as {
      findings: { kind: string; path?: string }[];
    };
    expect(json.findings.map(({ kind, path }) => `${kind} ${path}`)).toContain(
      "secret /app/key.pem",
    );
  },
  OWN,
);
