/** The daemon's side of a process beside it that does not do its part. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Companion } from "#companion/companion.ts";
import { createLogger, silentLogger } from "#lib/log.ts";
import { listenUnixStream } from "#kernel/unix-stream.ts";

test("a process that takes connections and never says hello is replaced", async () => {
  const folder = mkdtempSync(join(tmpdir(), "naru-companion-"));
  const socketPath = join(folder, "s");
  const silent = listenUnixStream(socketPath, 0o600, () => undefined);
  const companion = new Companion({
    what: "the tested process",
    command: ["sh", "-c", "echo a new one >&2"],
    socketPath,
    build: "test",
    sync: () => Promise.resolve(),
    log: silentLogger,
  });
  expect(await companion.request({}).catch(String)).toContain("did not start: a new one");
  companion.close();
  silent.close();
  rmSync(folder, { recursive: true });
}, 120_000);

/** Says hello; the first of its folder answers nothing after "stop", the next ones everything with their number. */
const PROCESS = `
  const { appendFileSync, readFileSync } = require("node:fs");
  const [path, build] = process.argv.slice(-2);
  appendFileSync(path + ".pids", process.pid + "\\n");
  const number = readFileSync(path + ".pids", "utf8").trim().split("\\n").length;
  require("node:net").createServer((socket) => {
    socket.write(JSON.stringify({ hello: { build, pid: process.pid } }) + "\\n");
    socket.on("data", (data) => {
      for (const line of data.toString().trim().split("\\n")) {
        const { id, body, order } = JSON.parse(line);
        if (order === "end") process.exit();
        if (body === "stop" && number === 1) process.kill(process.pid, "SIGSTOP");
        socket.write(JSON.stringify({ id, result: number }) + "\\n");
      }
    });
  }).listen(path, () => console.log("ready"));
`;

const endAll = (pidsPath: string): void => {
  for (const pid of readFileSync(pidsPath, "utf8").trim().split("\n")) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch (error) {
      expect(error).toMatchObject({ code: "ESRCH" });
    }
  }
};

test("a process that is stopped after its hello is killed, and what was asked is asked of another", async () => {
  const folder = mkdtempSync(join(tmpdir(), "naru-companion-"));
  const socketPath = join(folder, "s");
  const companion = new Companion({
    what: "the tested process",
    command: [process.execPath, "-e", PROCESS, "--"],
    socketPath,
    build: "test",
    sync: () => Promise.resolve(),
    log: silentLogger,
  });
  try {
    expect(await companion.request("hello")).toBe(1);
    const both = [companion.request("stop"), companion.request("after it")];
    expect(await Promise.all(both)).toEqual([2, 2]);
  } finally {
    companion.close();
    endAll(`${socketPath}.pids`);
    rmSync(folder, { recursive: true });
  }
}, 120_000);

test("a process has ended also where its parent takes no note of it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "naru-companion-"));
  const socketPath = join(folder, "s");
  // sleep(1) is the parent of what the shell has begun, and never waits for it.
  const begin = `echo $$ >"$2.pids"; "$0" -e "$1" -- "$2" "$3" & exec sleep 1000`;
  const told: string[] = [];
  const companion = new Companion({
    what: "the tested process",
    command: ["sh", "-c", begin, process.execPath, PROCESS],
    socketPath,
    build: "test",
    sync: () => Promise.resolve(),
    log: createLogger((_, message) => told.push(message)),
  });
  try {
    expect(await companion.request("hello")).toBe(2);
    await companion.end();
    expect(told).toEqual([]);
  } finally {
    endAll(`${socketPath}.pids`);
    rmSync(folder, { recursive: true });
  }
}, 20_000);
