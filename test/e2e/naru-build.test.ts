/** `naru build`: what the classic endpoint has no words for. */
import { expect } from "bun:test";
import { existsSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";

import { type Built, inside, write } from "../harness/build.ts";
import {
  BUSYBOX,
  check,
  docker,
  dockerOk,
  engine,
  naruOnly,
  run,
  type Check,
} from "../harness/check.ts";
import { naruBinary } from "../harness/naru.ts";
import type { Output } from "../harness/process.ts";
import { readTar } from "../harness/tar.ts";

const OWN = { skip: naruOnly("naru build") };

const naru = (
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Output> => run([naruBinary(), ...args], { env: { NARU_HOST: engine.host, ...env } });

const folderOf = (
  t: Check,
  dockerfile: string,
  files: Readonly<Record<string, string>> = {},
): string => write(t.folder(), { Dockerfile: dockerfile.replaceAll("{base}", BUSYBOX), ...files });

const build = async (
  t: Check,
  folder: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Built> => {
  const image = `${t.name()}:1`;
  t.defer(() => docker(["rmi", "-f", image]));
  return { ...(await naru(["build", "-t", image, ...args, folder], env)), image };
};

check(
  "it tells of steps, output and cache, and prints the name",
  async (t) => {
    const folder = folderOf(t, `FROM {base}\nRUN echo ${t.name()} said\n`);
    const first = await build(t, folder);
    expect(first.code).toBe(0);
    expect(first.stderr).toContain("#2 [2/2] RUN echo");
    expect(first.stderr).toMatch(/#2 DONE \d/);
    expect(first.stdout).toBe(`${first.image}\n`);
    expect((await build(t, folder)).stderr).toContain("#2 CACHED");
  },
  OWN,
);

check(
  "Dockerfiles of one size and time in one folder are told apart, also right after one another",
  async (t) => {
    const folder = folderOf(t, "FROM {base}\n", { a: "" });
    for (const name of ["one", "two"]) {
      writeFileSync(`${folder}/${name}`, `FROM ${BUSYBOX}\nLABEL of=${name}\nCMD true\n`);
      utimesSync(`${folder}/${name}`, 1_700_000_000, 1_700_000_000);
    }
    for (const name of ["one", "two", "two", "one"]) {
      const { image, stderr } = await build(t, folder, ["-f", `${folder}/${name}`]);
      const label = ["image", "inspect", "--format", '{{index .Config.Labels "of"}}', image];
      expect(await dockerOk(...label)).toBe(name);
      expect(stderr).toContain("1 warning found (naru build --check shows all of it):");
      expect(stderr).toContain("- JSONArgsRecommended: ");
      expect(stderr).toContain(" (line 3)");
    }
  },
  OWN,
);

check(
  "a failing step points at its line",
  async (t) => {
    const out = await build(t, folderOf(t, "FROM {base}\n\nRUN echo last words; exit 7\n"));
    expect(out.code).toBe(1);
    expect(out.stderr).toContain("#2 last words");
    expect(out.stderr).toContain("returned a non-zero code: 7");
    expect(out.stderr).toContain("> 3 | RUN echo last words; exit 7");
  },
  OWN,
);

check(
  "--explain names the file that changed",
  async (t) => {
    const folder = folderOf(t, "FROM {base}\nCOPY . /c\n", { "src/a.txt": t.name(), b: "b" });
    const image = `${t.name()}:1`;
    t.defer(() => docker(["rmi", "-f", image]));
    await naru(["build", "-t", image, folder]);
    writeFileSync(`${folder}/src/a.txt`, t.name());
    const out = await naru(["build", "--explain", "-t", image, folder]);
    expect(out.stderr).toContain("1 file of the build context changed: src/a.txt (content)");
  },
  OWN,
);

check(
  "secrets reach their step and nothing else",
  async (t) => {
    const secret = `sesame-${t.name()}`;
    const folder = folderOf(
      t,
      "FROM {base}\nRUN --mount=type=secret,id=s,mode=0440 stat -c %a /run/secrets/s > /m; md5sum < /run/secrets/s > /sum\nRUN --mount=type=secret,id=e,env=TOKEN echo ${#TOKEN} > /n; ls /run/secrets > /ls 2>&1; true\n",
    );
    const file = `${t.folder()}/s`;
    writeFileSync(file, secret);
    const out = await build(t, folder, ["--secret", `id=s,src=${file}`, "--secret", "id=e,env=E"], {
      E: "12345",
    });
    expect(await inside(out.image, "cat /m /n; ls -A /run 2>/dev/null; true")).toBe("440\n5");
    expect(out.stderr + out.stdout).not.toContain(secret);
    const saved = `${t.folder()}/i.tar`;
    await dockerOk("save", "-o", saved, out.image);
    expect(readFileSync(saved).includes(secret)).toBe(false);
    if (engine.dataRoot !== undefined) {
      const found = await run([...engine.enter, "grep", "-rl", secret, engine.dataRoot]);
      expect(found.stdout).toBe("");
    }
  },
  OWN,
);

check(
  "a required secret that was not given is asked for",
  async (t) => {
    const out = await build(
      t,
      folderOf(t, "FROM {base}\nRUN --mount=type=secret,id=s,required true\n"),
    );
    expect(out.code).not.toBe(0);
    expect(out.stderr).toContain("--secret id=s,src=FILE");
  },
  OWN,
);

check(
  "outputs: a directory, a tar, an archive to load",
  async (t) => {
    const folder = folderOf(
      t,
      "FROM {base} AS b\nRUN echo out > /o; chmod 640 /o\nFROM scratch\nCOPY --from=b /o /o\n",
    );
    const to = t.folder();
    const args = [
      `type=local,dest=${to}/d`,
      `type=tar,dest=${to}/t.tar`,
      `type=oci,dest=${to}/o.tar`,
    ];
    const out = await build(
      t,
      folder,
      args.flatMap((output) => ["-o", output]),
    );
    expect(out.code).toBe(0);
    expect(readFileSync(`${to}/d/o`, "utf8")).toBe("out\n");
    expect(statSync(`${to}/d/o`).mode & 0o777).toBe(0o640);
    expect(
      readTar(readFileSync(`${to}/t.tar`))
        .get("o")
        ?.body.toString(),
    ).toBe("out\n");
    expect([...readTar(readFileSync(`${to}/o.tar`)).keys()]).toContain("index.json");
    await dockerOk("rmi", out.image);
    expect(await dockerOk("load", "-i", `${to}/o.tar`)).toContain(out.image);
    expect(existsSync(`${to}/d/proc`)).toBe(false);
  },
  OWN,
);

check(
  "SOURCE_DATE_EPOCH gives the same image every time",
  async (t) => {
    const folder = folderOf(
      t,
      "FROM {base}\nRUN mkdir /d; echo fixed > /d/f; touch /d/g\nENV A=1\n",
    );
    const ids: string[] = [];
    for (let count = 0; count < 2; count++) {
      const out = await naru(["build", "-q", "--no-cache", folder], {
        SOURCE_DATE_EPOCH: "1600000000",
      });
      ids.push(out.stdout);
      await Bun.sleep(1100);
    }
    t.defer(() => docker(["rmi", "-f", ids[0]?.trim() ?? ""]));
    expect(ids[0]).toMatch(/^sha256:/);
    expect(ids[1]).toBe(ids[0] ?? "");
    const created = await dockerOk("inspect", "-f", "{{.Created}}", ids[0]?.trim() ?? "");
    expect(created).toStartWith("2020-09-13T12:26:40");
  },
  OWN,
);

check(
  "named contexts: a directory and an image",
  async (t) => {
    const other = write(t.folder(), { f: "from another directory" });
    const folder = folderOf(
      t,
      "FROM start\nCOPY --from=extra f /f\nRUN --mount=type=bind,from=extra,target=/e cat /e/f > /g\n",
    );
    const out = await build(t, folder, [
      "--build-context",
      `extra=${other}`,
      "--build-context",
      `start=docker-image://${BUSYBOX}`,
    ]);
    expect(await inside(out.image, "cat /f /g")).toBe(
      "from another directoryfrom another directory",
    );
  },
  OWN,
);

check(
  "--no-cache-filter runs one stage again, and nothing else",
  async (t) => {
    const mark = t.name();
    const folder = folderOf(
      t,
      `FROM {base} AS a\nRUN echo ${mark} a\nFROM {base} AS b\nRUN echo ${mark} b\nFROM {base}\nCOPY --from=a /bin/busybox /a\nCOPY --from=b /bin/busybox /b\n`,
    );
    await build(t, folder);
    const out = await build(t, folder, ["--no-cache-filter", "b"]);
    expect(out.stderr).toMatch(/#2 CACHED/);
    expect(out.stderr).toContain(`#4 ${mark} b`);
  },
  OWN,
);

check(
  "the build cache is listed, and pruned when nothing stands on it",
  async (t) => {
    const out = await build(
      t,
      folderOf(
        t,
        `FROM {base}\nRUN --mount=type=cache,id=${t.name()},target=/c echo x > /c/x; echo ${t.name()} > /f\n`,
      ),
    );
    const listed = await naru(["builder", "du", "--json"]);
    const records = listed.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(records.some((record) => record["Type"] === "exec.cachemount")).toBe(true);
    expect(records.some((record) => record["Shared"] === true && record["Size"] !== 0)).toBe(true);
    expect(await inside(out.image, "cat /f")).not.toBe("");
  },
  OWN,
);

check(
  "what changed in a folder since the last build is what the next one sees, whatever its kind",
  async (t) => {
    const folder = folderOf(t, "FROM {base}\nCOPY . /c\n", {
      ".dockerignore": "skip\n!skip/deep/kept\n",
      "a/file": t.name(),
      "a/gone": "gone",
      "skip/deep/kept": "kept",
      "skip/other": "other",
      mode: "mode",
    });
    const list =
      "cd /c; find . -type l -exec readlink {} \\; | sort; find . -type f | sort | xargs tail -n +1; stat -c %a mode";
    const first = await build(t, folder);
    expect(first.code).toBe(0);
    const before = await inside(first.image, list);
    expect(before).toContain("./skip/deep/kept");
    expect(before).not.toContain("other");
    await run(
      [
        "sh",
        "-c",
        "rm a/gone; echo changed > a/file; chmod 755 mode; rm -r skip; mkdir -p skip/deep; echo new > skip/deep/kept; ln -s a/file link; mkdir new; echo n > new/f",
      ],
      { cwd: folder },
    );
    const second = await build(t, folder);
    expect(second.code).toBe(0);
    const after = await inside(second.image, list);
    expect(after).toContain("a/file\n");
    expect(after).toContain("changed");
    expect(after).toContain("./skip/deep/kept <==\nnew");
    expect(after).toContain("./new/f <==\nn");
    expect(after).not.toContain("gone");
    expect(after).toEndWith("\n755");
    // A fifo has no facts: such a context goes as a tar.
    await run(["mkfifo", `${folder}/pipe`]);
    const third = await build(t, folder);
    expect(third.code).toBe(0);
    expect(await inside(third.image, "test -p /c/pipe && cat /c/a/file")).toBe("changed");
    await run(["rm", `${folder}/pipe`, "-r", `${folder}/a`]);
    await run(["sh", "-c", "echo now a file > a"], { cwd: folder });
    const last = await build(t, folder);
    expect(await inside(last.image, "cat /c/a")).toBe("now a file");
  },
  OWN,
);
