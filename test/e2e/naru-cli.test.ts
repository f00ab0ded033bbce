/** naru's own command line where people meet it: terminals, files it writes, settings, formats. */
import { expect } from "bun:test";
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";

import { BUSYBOX, check, docker, engine, naruOnly, run, type Check } from "../harness/check.ts";
import { onPty } from "../harness/client.ts";
import { naruBinary } from "../harness/naru.ts";
import type { Output } from "../harness/process.ts";

const OWN = { skip: naruOnly("its command line") };

const naru = (args: readonly string[], env: Record<string, string> = {}): Promise<Output> =>
  run([naruBinary(), ...args], { env: { NARU_HOST: engine.host, ...env } });

const inShell = (line: string): Promise<Output> =>
  run(["sh", "-c", line], { env: { NARU_HOST: engine.host, NARU: naruBinary(), IMAGE: BUSYBOX } });

/** A folder with a config.json of its own. */
const configured = (t: Check, config: object): Record<string, string> => {
  const folder = t.folder();
  writeFileSync(`${folder}/config.json`, JSON.stringify(config));
  return { DOCKER_CONFIG: folder };
};

check(
  "what a container's terminal writes reaches the screen as it is: no line ends twice",
  async (t) => {
    const line = `stty -a >$OUT/before; "$NARU" run --rm -it $IMAGE printf "one\\ntwo\\n"; stty -a >$OUT/after`;
    const out = t.folder();
    // Keys that never come: the end of the input would be typed as one.
    const held = `mkfifo $OUT/keys && exec 3<>$OUT/keys && exec script -qec "$LINE" $OUT/typescript <&3`;
    const { stdout } = await run(["sh", "-c", held], {
      env: { NARU_HOST: engine.host, NARU: naruBinary(), IMAGE: BUSYBOX, OUT: out, LINE: line },
    });
    expect(stdout).toContain("one\r\ntwo\r\n");
    expect(stdout).not.toContain("\r\r\n");
    // The terminal is given back as it was.
    expect(readFileSync(`${out}/after`, "utf8")).toBe(readFileSync(`${out}/before`, "utf8"));
  },
  { skip: OWN.skip ?? (Bun.which("script") === null ? "script(1) is not here" : undefined) },
);

check(
  "save and export write into devices and links, and never replace them",
  async (t) => {
    const folder = t.folder();
    const name = t.name();
    await docker(["create", "--name", name, BUSYBOX]);
    t.defer(() => docker(["rm", "-f", name]));
    await run(["mknod", `${folder}/null`, "c", "1", "3"]);
    expect((await naru(["save", "-o", `${folder}/null`, BUSYBOX])).code).toBe(0);
    expect(lstatSync(`${folder}/null`).isCharacterDevice()).toBe(true);
    writeFileSync(`${folder}/real.tar`, "old");
    symlinkSync("real.tar", `${folder}/link.tar`);
    expect((await naru(["export", "-o", `${folder}/link.tar`, name])).code).toBe(0);
    expect(lstatSync(`${folder}/link.tar`).isSymbolicLink()).toBe(true);
    expect(lstatSync(`${folder}/real.tar`).size).toBeGreaterThan(10_000);
    const nowhere = await naru(["save", "-o", `${folder}/nope/x.tar`, BUSYBOX]);
    expect(nowhere).toMatchObject({ code: 1, stdout: "" });
    expect(nowhere.stderr).toBe(
      `invalid output path: directory "${folder}/nope" does not exist; create it first\n`,
    );
    expect((await naru(["save", "-o", folder, BUSYBOX])).stderr).toContain("is a directory");
    expect((await naru(["load", "-i", folder])).stderr).toBe(`read ${folder}: is a directory\n`);
    expect(readdirSync(folder).toSorted()).toEqual(["link.tar", "null", "real.tar"]);
  },
  OWN,
);

check(
  "a reader that leaves and a disk that is full are no failures of the container",
  async () => {
    const left = await inShell(
      `{ "$NARU" run --rm "$IMAGE" seq 1 200000; echo $? >&2; } | head -1`,
    );
    expect(left.stdout).toBe("1\n");
    expect(left.stderr).toBe("141\n");
    const full = await inShell(`"$NARU" run --rm "$IMAGE" echo hi >/dev/full`);
    expect(full.code).toBe(1);
    expect(full.stderr).toBe("write /dev/stdout: no space left on device\n");
  },
  OWN,
);

check(
  "cp: the root, a folder by way of .., and a link with a slash land under the name asked for",
  async (t) => {
    const folder = t.folder();
    const name = t.name();
    await docker(["create", "--name", name, BUSYBOX]);
    t.defer(() => docker(["rm", "-f", name]));
    mkdirSync(`${folder}/real`);
    writeFileSync(`${folder}/real/file`, "x");
    symlinkSync("real", `${folder}/link`);
    expect((await naru(["cp", `${folder}/link/`, `${name}:/copied`])).code).toBe(0);
    expect((await naru(["cp", `${name}:/`, `${folder}/root`])).code).toBe(0);
    expect(readFileSync(`${folder}/root/copied/file`, "utf8")).toBe("x");
    expect((await naru(["cp", `${name}:/usr/bin/..`, `${folder}/usr`])).code).toBe(0);
    expect(lstatSync(`${folder}/usr/bin`).isDirectory()).toBe(true);
    expect(readdirSync(folder).toSorted()).toEqual(["link", "real", "root", "usr"]);
    await run(["mknod", `${folder}/null`, "c", "1", "3"]);
    const device = await naru(["cp", `${name}:/bin/busybox`, `${folder}/null`]);
    expect(device.code).toBe(1);
    expect(device.stderr).toContain("got a device");
    expect(lstatSync(`${folder}/null`).isCharacterDevice()).toBe(true);
    symlinkSync("real/new", `${folder}/to-new`);
    expect((await naru(["cp", `${name}:/copied/file`, `${folder}/to-new`])).code).toBe(0);
    expect(lstatSync(`${folder}/to-new`).isSymbolicLink()).toBe(true);
    expect(readFileSync(`${folder}/real/new`, "utf8")).toBe("x");
    const nowhere = await naru(["cp", `${folder}/real`, `${name}:`]);
    expect(nowhere.code).not.toBe(0);
    expect(nowhere.stderr).toContain(`there is no path in "${name}:"`);
  },
  OWN,
);

check(
  "run -d tells the id of a container that cannot start, too",
  async (t) => {
    const name = t.name();
    t.defer(() => docker(["rm", "-f", name]));
    const failed = await naru(["run", "-d", "--name", name, BUSYBOX, "no-such-program"]);
    expect(failed.code).toBe(127);
    expect(failed.stderr).toContain("executable file not found");
    const { stdout } = await docker(["inspect", "-f", "{{.Id}}", name]);
    expect(failed.stdout.trim()).toBe(stdout.trim());
  },
  OWN,
);

check(
  "what was not there is not printed as removed",
  async (t) => {
    const name = t.name();
    await docker(["create", "--name", name, BUSYBOX]);
    const removed = await naru(["rm", "-f", `${name}-no`, name]);
    expect(removed).toMatchObject({ code: 0, stdout: `${name}\n` });
    expect(removed.stderr).toContain(`No such container: ${name}-no`);
    const network = await naru(["network", "rm", "-f", `${name}-no`]);
    expect(network).toMatchObject({ code: 0, stdout: "" });
    expect(network.stderr).toContain(`network ${name}-no not found`);
  },
  OWN,
);

check(
  "flags that docker lines carry for what is done here anyway are taken",
  async (t) => {
    const folder = t.folder();
    writeFileSync(`${folder}/Dockerfile`, `FROM ${BUSYBOX}\n`);
    const usual = ["--rm", "--force-rm=true", "--compress", "--disable-content-trust"];
    const built = await naru(["build", ...usual, "-q", folder]);
    expect([built.code, built.stderr]).toEqual([0, ""]);
    t.defer(() => docker(["rmi", "-f", built.stdout.trim()]));
    const none = ["--env-file", "/dev/null", "--label-file", "/dev/null"];
    expect((await naru(["run", "--rm", ...none, BUSYBOX, "echo", "hi"])).stdout).toBe("hi\n");
    const wrong = await naru(["run", "--rm", "--env-file", folder, BUSYBOX]);
    expect(wrong.stderr).toContain(`read ${folder}: is a directory`);
    const ran = await naru(["run", "--disable-content-trust", "--rm", BUSYBOX, "echo", "hi"]);
    expect(ran.stdout).toBe("hi\n");
  },
  OWN,
);

check(
  "formats of config.json count for every list; -q goes before a format",
  async (t) => {
    const name = t.name();
    const id = (await docker(["run", "-d", "--name", name, BUSYBOX, "sleep", "1000"])).stdout;
    t.defer(() => docker(["rm", "-f", name]));
    await docker(["volume", "create", name]);
    t.defer(() => docker(["volume", "rm", "-f", name]));
    const env = configured(t, {
      networksFormat: "N {{.Name}}",
      volumesFormat: "V {{.Name}} {{.Status}}",
      statsFormat: "S {{.Name}}",
    });
    expect((await naru(["network", "ls", "-f", "name=none"], env)).stdout).toBe("N none\n");
    expect((await naru(["volume", "ls", "-f", `name=${name}`], env)).stdout).toBe(
      `V ${name} N/A\n`,
    );
    expect((await naru(["stats", "--no-stream", name], env)).stdout).toBe(`S ${name}\n`);
    expect((await naru(["network", "ls", "-qf", "name=none"], env)).stdout).toMatch(
      /^[0-9a-f]{12}\n$/,
    );
    const quiet = await naru(["ps", "-qf", `name=${name}`, "--format", "{{.Names}}"]);
    expect(quiet.stdout).toBe(`${id.slice(0, 12)}\n`);
    expect(quiet.stderr).toContain("Ignoring custom format");
    const df = await naru(["system", "df", "-v", "--format", "json"]);
    const usage = JSON.parse(df.stdout) as { Volumes: { Name: string; Links: string }[] };
    expect(usage.Volumes).toContainEqual(expect.objectContaining({ Name: name, Links: "0" }));
    const events = [
      "--since",
      "1h",
      "--until",
      "0s",
      "-f",
      "type=container",
      "-f",
      `container=${name}`,
    ];
    const event = await naru(["events", ...events, "-f", "event=create", "--format", "{{json .}}"]);
    expect(Object.keys(JSON.parse(event.stdout) as object)).not.toContain("TimeNano");
  },
  OWN,
);

check(
  "headers of config.json and of the environment go with every request",
  async (t) => {
    const seen: string[] = [];
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request) => {
        seen.push(`${request.headers.get("x-team")} ${request.headers.get("x-one")}`);
        return new Response("[]", { headers: { "Api-Version": "1.51" } });
      },
    });
    t.defer(async () => server.stop(true));
    const env = { ...configured(t, { HttpHeaders: { "X-Team": "a", "X-One": "b" } }) };
    const host = ["-H", `tcp://127.0.0.1:${server.port}`];
    expect((await naru([...host, "ps", "-q"], env)).code).toBe(0);
    const own = { ...env, DOCKER_CUSTOM_HEADERS: "X-One=c" };
    expect((await naru([...host, "ps", "-q"], own)).code).toBe(0);
    expect(seen).toEqual(["a b", "a c"]);
    const bad = await naru([...host, "ps", "-q"], { DOCKER_CUSTOM_HEADERS: "nothing" });
    expect(bad.code).toBe(1);
    expect(bad.stderr).toContain(`missing "=" in key=value pair: 'nothing'`);
  },
  OWN,
);

check(
  "lines that contradict themselves are refused before anything is asked",
  async () => {
    const twice = await naru(["-H", "unix:///a", "-H", "unix:///b", "ps"]);
    expect(twice.code).toBe(125);
    expect(twice.stderr).toContain("specify only one -H");
    for (const verb of ["push", "pull"]) {
      const all = await naru([verb, "-a", `${BUSYBOX}:1`]);
      expect(all).toMatchObject({ code: 1, stderr: "tag can't be used with --all-tags/-a\n" });
    }
    const inFront = await naru(["-D", "doctor"]);
    expect(inFront.code).toBe(1);
    expect(inFront.stderr).toContain("takes no flags in front of its name");
    const trusting = await naru(["pull", "--disable-content-trust=false", BUSYBOX]);
    expect(trusting.code).toBe(125);
    expect(trusting.stderr).toContain("naru trust");
    expect((await naru(["image", "build", "--help"])).stdout).toContain("naru image build");
  },
  OWN,
);

check(
  "contexts are made, used, changed, exported, imported and removed as docker has them",
  async (t) => {
    const folder = t.folder();
    const at = (args: string[], env: Record<string, string> = {}): Promise<Output> =>
      run([naruBinary(), "context", ...args], {
        env: { NARU_HOST: "", DOCKER_HOST: "", DOCKER_CONFIG: folder, ...env },
        cwd: folder,
      });
    writeFileSync(`${folder}/ca.pem`, "CA\n");
    const made = await at(["create", "far", "--docker", "host=tcp://10.0.0.5:2376,ca=ca.pem"]);
    expect(made).toMatchObject({ code: 0, stdout: "far\n" });
    expect((await at(["create", "far"])).stderr).toBe('context "far" already exists\n');
    expect((await at(["create", "default"])).code).toBe(1);
    expect((await at(["create", "a b"])).stderr).toContain("is invalid");
    expect((await at(["create", "xx", "--docker", "hast=1"])).stderr).toContain("hast");
    await at(["create", "here", "--docker", `host=${engine.host}`, "--description", "here it is"]);
    expect((await at(["use", "here"])).stdout).toBe("here\n");
    expect((await at(["show"])).stdout).toBe("here\n");
    // The real docker reads the same store.
    const config = ["--config", folder];
    expect(
      (await docker([...config, "context", "show"], { env: { DOCKER_HOST: "" } })).stdout.trim(),
    ).toBe("here");
    const listed = await run([naruBinary(), "ps", "-q"], {
      env: { NARU_HOST: "", DOCKER_HOST: "", DOCKER_CONFIG: folder },
    });
    expect(listed.code).toBe(0);
    expect(
      (await at(["ls", "--format", "{{.Name}} {{.Current}} {{.DockerEndpoint}}"])).stdout,
    ).toBe(
      `default false unix:///run/naru/naru.sock\nfar false tcp://10.0.0.5:2376\nhere true ${engine.host}\n`,
    );
    expect((await at(["use", "far"], { DOCKER_HOST: "unix:///x" })).stderr).toContain(
      "DOCKER_HOST environment variable overrides",
    );
    expect((await at(["rm", "far"])).stderr).toContain("in use");
    await at(["update", "far", "--description", "moved"]);
    expect((await at(["export", "far"])).code).toBe(0);
    // It may hold keys.
    expect(lstatSync(`${folder}/far.dockercontext`).mode & 0o777).toBe(0o600);
    expect((await at(["import", "near", "far.dockercontext"])).stdout).toBe("near\n");
    const inspected = JSON.parse((await at(["inspect", "near"])).stdout) as object[];
    expect(inspected).toEqual([
      expect.objectContaining({
        Name: "near",
        Metadata: { Description: "moved" },
        Endpoints: { docker: { Host: "tcp://10.0.0.5:2376", SkipTLSVerify: false } },
        TLSMaterial: { docker: ["ca.pem"] },
      }),
    ]);
    const complete = [naruBinary(), "--config", folder, "__complete", "--", "context", "use", "n"];
    expect((await run(complete)).stdout).toBe("near\n");
    expect((await at(["use", "default"])).code).toBe(0);
    expect((await at(["rm", "far", "near", "here"])).stdout).toBe("far\nnear\nhere\n");
    expect((await at(["rm", "near"])).stderr).toBe('context "near" does not exist\n');
    expect((await at(["ls", "-q"])).stdout).toBe("default\n");
  },
  OWN,
);

check(
  "an engine behind ssh is spoken to through the far side's naru",
  async (t) => {
    const folder = t.folder();
    // Stands for ssh and the far side: runs what it is told here.
    const script = `#!/bin/sh\nprintf '%s\\n' "$*" >>${folder}/said\nwhile [ "$1" != -- ]; do shift; done\nshift 2\nexec sh -c "$*"\n`;
    writeFileSync(`${folder}/ssh`, script, { mode: 0o755 });
    symlinkSync(naruBinary(), `${folder}/naru`);
    const host = `ssh://me@far:2222${engine.socketPath}`;
    const env = { PATH: `${folder}:${process.env["PATH"]}`, NARU_HOST: host };
    const ran = await run([naruBinary(), "run", "-i", "--rm", BUSYBOX, "sh", "-c", "cat; exit 7"], {
      env,
      stdin: "a\n".repeat(100_000),
    });
    expect([ran.code, ran.stdout.length, ran.stderr]).toEqual([7, 200_000, ""]);
    expect(readFileSync(`${folder}/said`, "utf8")).toStartWith(
      "-l me -p 2222 -o ConnectTimeout=30",
    );
    const saved = await run([naruBinary(), "save", "-o", `${folder}/i.tar`, BUSYBOX], { env });
    expect(saved.code).toBe(0);
    const loaded = await run([naruBinary(), "load", "-i", `${folder}/i.tar`], { env });
    expect([loaded.code, loaded.stdout]).toEqual([0, expect.stringContaining("Loaded image")]);
    writeFileSync(`${folder}/ssh`, "#!/bin/sh\necho 'far: no such host' >&2\nexit 255\n");
    const lost = await run([naruBinary(), "ps"], { env });
    expect(lost.code).toBe(1);
    expect(lost.stderr).toContain("far: no such host");
  },
  OWN,
);

check(
  "detach keys: attach and exec end with 1 and say so, run and start with 0, as docker's do",
  async (t) => {
    const left = async (...args: string[]): Promise<readonly [number, boolean]> => {
      const pty = onPty(naruBinary(), ...args);
      await pty.waitFor("#");
      pty.write("\x10\x11");
      return [await pty.exited, pty.text().includes("read escape sequence\r\n")];
    };
    const name = t.name();
    t.defer(() => docker(["rm", "-f", name]));
    expect(await left("run", "-it", "--name", name, BUSYBOX, "sh")).toEqual([0, false]);
    expect(await left("exec", "-it", name, "sh")).toEqual([1, true]);
    expect(await left("attach", name)).toEqual([1, true]);
    await docker(["stop", "-t", "0", name]);
    expect(await left("start", "-ai", name)).toEqual([0, false]);
  },
  OWN,
);
