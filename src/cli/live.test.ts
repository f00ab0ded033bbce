/**
 * The command line against a running engine: `NARU_CLI_TEST_HOST=unix:///…` names it,
 * NARU_CLI_TEST_IMAGE an image with a shell (naru/hello by default). Nothing is left behind.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";

const host = process.env["NARU_CLI_TEST_HOST"];
const image = process.env["NARU_CLI_TEST_IMAGE"] ?? "naru/hello";
const prefix = `naru-cli-test-${String(process.pid)}`;
const entry = new URL("main.ts", import.meta.url).pathname;
const folder = host === undefined ? "/tmp" : mkdtempSync("/tmp/naru-cli-live-");

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const naru = async (args: readonly string[], input?: string): Promise<Outcome> => {
  const script = `import { runCli } from ${JSON.stringify(entry)}; process.exit(await runCli(process.argv.slice(1)));`;
  const child = Bun.spawn([process.execPath, "-e", script, ...args], {
    env: { PATH: process.env["PATH"], HOME: folder, NARU_HOST: host },
    cwd: folder,
    stdin: input === undefined ? "ignore" : new Blob([input]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, out, err };
};

const name = (suffix: string): string => `${prefix}-${suffix}`;

describe.skipIf(host === undefined)("against a running engine", () => {
  afterAll(async () => {
    const { out } = await naru(["ps", "-aq", "--filter", `name=${prefix}`]);
    const ids = out.split("\n").filter((id) => id !== "");
    if (ids.length > 0) await naru(["rm", "-f", "-v", ...ids]);
    rmSync(folder, { recursive: true, force: true });
  });

  test("run: output, errors, exit code", async () => {
    const outcome = await naru([
      "run",
      "--rm",
      image,
      "sh",
      "-c",
      "echo out; echo err >&2; exit 7",
    ]);
    expect(outcome).toEqual({ code: 7, out: "out\n", err: "err\n" });
  });

  test("run -i: input to its end", async () => {
    const text = "line\n".repeat(50_000);
    const outcome = await naru(["run", "--rm", "-i", image, "cat"], text);
    expect(outcome.code).toBe(0);
    expect(outcome.out === text).toBe(true);
  });

  test("run: 125, 126, 127", async () => {
    const missing = await naru(["run", "--rm", image, "/nope"]);
    expect(missing.code).toBe(127);
    expect(missing.err).toContain("naru: Error response from daemon: ");
    expect(missing.err).toContain("Run 'naru run --help' for more information");
    expect((await naru(["run", "--rm", image, "/etc"])).code).toBe(126);
    expect((await naru(["run", "--naem", "x", image])).code).toBe(125);
    expect((await naru(["run", "--pull", "never", "no/such:image"])).code).toBe(125);
  });

  test("a container's life", async () => {
    const id = (
      await naru(["run", "-d", "--name", name("life"), "-l", "a=b", image, "sleep", "100"])
    ).out.trim();
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect((await naru(["ps", "-q", "--no-trunc", "--filter", "label=a=b"])).out).toContain(id);
    expect(await naru(["exec", name("life"), "sh", "-c", "echo in; exit 5"])).toEqual({
      code: 5,
      out: "in\n",
      err: "",
    });
    expect((await naru(["exec", "-i", name("life"), "cat"], "hi")).out).toBe("hi");
    expect((await naru(["inspect", "-f", "{{.State.Status}} {{.Config.Labels.a}}", id])).out).toBe(
      "running b\n",
    );
    expect((await naru(["top", name("life")])).out).toContain("sleep 100");
    expect((await naru(["rename", name("life"), name("renamed")])).code).toBe(0);
    expect((await naru(["kill", name("renamed")])).out).toBe(`${name("renamed")}\n`);
    expect((await naru(["wait", name("renamed")])).out).toBe("137\n");
    expect((await naru(["why", "--format", "{{.kind}}", name("renamed")])).out).toBe("signal\n");
    expect((await naru(["rm", name("renamed")])).code).toBe(0);
    expect((await naru(["rm", name("renamed")])).err).toContain("No such container");
  });

  test("logs and start -a", async () => {
    await naru(["create", "--name", name("logs"), image, "sh", "-c", "echo one; echo two >&2"]);
    expect((await naru(["start", "-a", name("logs")])).out).toBe("one\n");
    const logs = await naru(["logs", name("logs")]);
    expect([logs.out, logs.err]).toEqual(["one\n", "two\n"]);
    expect((await naru(["logs", "--tail", "0", name("logs")])).out).toBe("");
  });

  test("cp there and back", async () => {
    await naru(["create", "--name", name("cp"), image]);
    await Bun.write(`${folder}/d/f`, "content");
    expect((await naru(["cp", "d", `${name("cp")}:/tmp/e`])).code).toBe(0);
    expect((await naru(["cp", `${name("cp")}:/tmp/e`, "back"])).code).toBe(0);
    expect(await Bun.file(`${folder}/back/f`).text()).toBe("content");
    expect((await naru(["cp", `${name("cp")}:/nope`, "x"])).code).toBe(1);
  });

  test("volumes", async () => {
    const volume = name("volume");
    expect((await naru(["volume", "create", "--label", "x=y", volume])).out).toBe(`${volume}\n`);
    expect((await naru(["volume", "inspect", "-f", '{{index .Labels "x"}}', volume])).out).toBe(
      "y\n",
    );
    await naru(["run", "--rm", "-v", `${volume}:/v`, image, "sh", "-c", "echo kept > /v/f"]);
    expect((await naru(["run", "--rm", "-v", `${volume}:/v:ro`, image, "cat", "/v/f"])).out).toBe(
      "kept\n",
    );
    expect((await naru(["volume", "rm", volume])).out).toBe(`${volume}\n`);
  });

  test("inspect of what is not there", async () => {
    const outcome = await naru(["inspect", "no-such-thing"]);
    expect(outcome).toEqual({
      code: 1,
      out: "[]\n",
      err: "Error: No such object: no-such-thing\n",
    });
    expect((await naru(["inspect", "-f", "{{foo}}", image])).code).toBe(64);
  });

  test("a reader that goes away ends the command", async () => {
    const script = `import { runCli } from ${JSON.stringify(entry)}; process.exit(await runCli(process.argv.slice(1)));`;
    const child = Bun.spawn(
      [
        "sh",
        "-c",
        '"$0" -e "$1" run --rm "$2" sh -c "while true; do echo y; done" | head -n 1',
        process.execPath,
        script,
        image,
      ],
      {
        env: { PATH: process.env["PATH"], HOME: folder, NARU_HOST: host },
        stdout: "pipe",
        stderr: "ignore",
      },
    );
    expect(await new Response(child.stdout).text()).toBe("y\n");
    const { out } = await naru(["ps", "-q", "--filter", `ancestor=${image}`]);
    for (const id of out.split("\n").filter((line) => line !== "")) {
      const command = (await naru(["inspect", "-f", "{{.Args}}", id])).out;
      if (command.includes("while true")) await naru(["rm", "-f", id]);
    }
  });
});
