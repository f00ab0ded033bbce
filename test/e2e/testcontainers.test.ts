/** testcontainers for node: exposed port, log wait, exec, files; without its reaper. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";

import { BUSYBOX, engine } from "../harness/check.ts";

process.env["TESTCONTAINERS_RYUK_DISABLED"] = "true";
process.env["DOCKER_HOST"] = engine.host;
process.env["TESTCONTAINERS_HOST_OVERRIDE"] = engine.hostIp;

const { GenericContainer, Wait } = await import("testcontainers");

test("a web server with an exposed port, awaited by its log", async () => {
  const container = await new GenericContainer(BUSYBOX)
    .withCommand([
      "sh",
      "-c",
      "echo hello > /index.html; echo ready to serve; httpd -f -p 8080 -h /",
    ])
    .withExposedPorts(8080)
    .withEnvironment({ A: "from testcontainers" })
    .withLabels({ "e2e.testcontainers": "1" })
    .withWaitStrategy(Wait.forLogMessage("ready to serve"))
    .start();
  try {
    const url = `http://${container.getHost()}:${container.getMappedPort(8080)}/index.html`;
    await Bun.sleep(200);
    expect(await (await fetch(url)).text()).toBe("hello\n");
    const result = await container.exec(["sh", "-c", "echo $A; exit 3"]);
    expect([result.exitCode, result.output]).toEqual([3, "from testcontainers\n"]);
  } finally {
    await container.stop();
  }
}, 60_000);

test("waiting for the listening port", async () => {
  const container = await new GenericContainer(BUSYBOX)
    .withCommand(["sh", "-c", "sleep 0.5; httpd -f -p 8080 -h /etc"])
    .withExposedPorts(8080)
    .start();
  try {
    const url = `http://${container.getHost()}:${container.getMappedPort(8080)}/marker`;
    expect(await (await fetch(url)).text()).toBe("from the image\n");
  } finally {
    await container.stop();
  }
}, 60_000);

test("files and content copied in before the start, an archive out after it", async () => {
  const dir = mkdtempSync("/tmp/naru-e2e-files-");
  writeFileSync(`${dir}/f`, "a file");
  const container = await new GenericContainer(BUSYBOX)
    .withCommand(["sleep", "600"])
    .withCopyFilesToContainer([{ source: `${dir}/f`, target: "/tmp/f" }])
    .withCopyContentToContainer([{ content: "content", target: "/tmp/c" }])
    .start();
  try {
    expect((await container.exec(["cat", "/tmp/f", "/tmp/c"])).output).toBe("a filecontent");
    const archive = await container.copyArchiveFromContainer("/etc/marker");
    let size = 0;
    for await (const chunk of archive) size += (chunk as Buffer).length;
    expect(size).toBeGreaterThan(512);
  } finally {
    await container.stop();
    rmSync(dir, { recursive: true });
  }
}, 60_000);

test("a health check to wait for, restart, logs", async () => {
  const container = await new GenericContainer(BUSYBOX)
    .withCommand(["sh", "-c", "echo started; exec sleep 600"])
    .withHealthCheck({ test: ["CMD-SHELL", "true"], interval: 300, timeout: 2_000, retries: 5 })
    .withWaitStrategy(Wait.forHealthCheck())
    .start();
  try {
    await container.restart({ timeout: 0 });
    const logs = await container.logs();
    const first = await new Promise<string>((resolve) =>
      logs.once("data", (chunk: Buffer | string) => resolve(String(chunk))),
    );
    expect(first).toContain("started");
  } finally {
    await container.stop();
  }
}, 60_000);

test("a mount, a user, a working folder and a tmpfs", async () => {
  const container = await new GenericContainer(BUSYBOX)
    .withCommand(["sleep", "600"])
    .withUser("1000")
    .withWorkingDir("/tmp")
    .withTmpFs({ "/scratch": "rw,size=1m" })
    .start();
  try {
    expect(
      (await container.exec(["sh", "-c", "id -u; pwd; grep -c scratch /proc/mounts"])).output,
    ).toBe("1000\n/tmp\n1\n");
  } finally {
    await container.stop();
  }
}, 60_000);
