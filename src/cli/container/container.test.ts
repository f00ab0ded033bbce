import { describe, expect, test } from "bun:test";
import { planCopy, splitCopyArgument, transformRule } from "#cli/container/cp-plan.ts";
import type { CopyPlan, CopySource, CopyTarget } from "#cli/container/cp-plan.ts";
import { formatPorts } from "#cli/container/ports-column.ts";
import { containerRow, ellipsis } from "#cli/container/rows.ts";
import { figuresOf } from "#cli/container/stats-figures.ts";
import { quote } from "#cli/template/values.ts";
import type { ContainerSummary } from "#spec/docker/container.ts";

const tcp = (PrivatePort: number, PublicPort?: number, IP?: string) => ({
  PrivatePort,
  Type: "tcp",
  ...(PublicPort === undefined ? {} : { PublicPort }),
  ...(IP === undefined ? {} : { IP }),
});

test("the PORTS column joins neighbours", () => {
  expect(formatPorts([tcp(80)])).toBe("80/tcp");
  expect(formatPorts([tcp(82), tcp(80), tcp(81), tcp(90)])).toBe("80-82/tcp, 90/tcp");
  expect(formatPorts([tcp(80, 8080, "0.0.0.0")])).toBe("0.0.0.0:8080->80/tcp");
  expect(formatPorts([tcp(80, 80, "0.0.0.0"), tcp(81, 81, "0.0.0.0")])).toBe(
    "0.0.0.0:80-81->80-81/tcp",
  );
  expect(formatPorts([tcp(80, 80, "::"), tcp(80, 80, "0.0.0.0")])).toBe(
    "0.0.0.0:80->80/tcp, [::]:80->80/tcp",
  );
});

const summary: ContainerSummary = {
  Id: "0123456789abcdef",
  Names: ["/link/web", "/web"],
  Image: "docker.io/library/app:1@sha256:00",
  ImageID: "sha256:ff",
  Command: 'sh -c "echo a long line"',
  Created: 0,
  Ports: [],
  Labels: { b: "2", a: "1" },
  State: "running",
  Status: "Up 5 seconds (health: starting)",
  HostConfig: { NetworkMode: "default" },
  NetworkSettings: { Networks: {} },
  Mounts: [],
};

const field = (name: string, isTruncated = true): unknown => {
  const value = containerRow(summary, isTruncated)[name];
  return typeof value === "function" ? (value as () => unknown)() : value;
};

test("a row of ps", () => {
  expect(field("ID")).toBe("0123456789ab");
  expect(field("ID", false)).toBe("0123456789abcdef");
  expect(field("Names")).toBe("web");
  expect(field("Names", false)).toBe("link/web,web");
  expect(field("Image")).toBe("app:1");
  expect(field("Command")).toBe('"sh -c \\"echo a long …"');
  expect(field("Labels")).toBe("a=1,b=2");
  expect(field("HealthStatus")).toBe("starting");
  expect(ellipsis("abc", 3)).toBe("abc");
  expect(quote("a\u0001é\n")).toBe('"a\\x01é\\n"');
});

test("figures of stats", () => {
  const figures = figuresOf({
    read: "",
    preread: "",
    name: "/web",
    cpu_stats: { cpu_usage: { total_usage: 200 }, system_cpu_usage: 2000, online_cpus: 2 },
    precpu_stats: { cpu_usage: { total_usage: 100 }, system_cpu_usage: 1000 },
    memory_stats: { usage: 100, limit: 1000, stats: { inactive_file: 40 } },
    networks: { eth0: { rx_bytes: 1, tx_bytes: 2 }, eth1: { rx_bytes: 3, tx_bytes: 4 } },
    blkio_stats: {
      io_service_bytes_recursive: [
        { op: "Read", value: 5 },
        { op: "write", value: 6 },
      ],
    },
  });
  expect(figures).toMatchObject({
    name: "web",
    cpuPercent: 20,
    memoryBytes: 60,
    memoryPercent: 6,
    receivedBytes: 4,
    sentBytes: 6,
    readBytes: 5,
    writtenBytes: 6,
    pids: 0,
  });
});

describe("cp: where things go", () => {
  const file: CopySource = { path: "/s/f", isFolder: false };
  const folder: CopySource = { path: "/s/d", isFolder: true };
  const contents: CopySource = { path: "/s/d/.", isFolder: true };
  const to = (path: string, kind: "folder" | "file" | "nothing"): CopyTarget => ({
    path,
    exists: kind !== "nothing",
    isFolder: kind === "folder",
  });
  const cases: readonly (readonly [string, CopySource, CopyTarget, CopyPlan])[] = [
    ["file into a folder", file, to("/t", "folder"), { folder: "/t", from: "f", to: "f" }],
    ["file over a file", file, to("/t/g", "file"), { folder: "/t", from: "f", to: "g" }],
    ["file as a new file", file, to("/t/g", "nothing"), { folder: "/t", from: "f", to: "g" }],
    ["folder into a folder", folder, to("/t", "folder"), { folder: "/t", from: "d", to: "d" }],
    ["folder as a new folder", folder, to("/t/e", "nothing"), { folder: "/t", from: "d", to: "e" }],
    [
      "folder as a new folder, with a slash",
      folder,
      to("/t/e/", "nothing"),
      { folder: "/t", from: "d", to: "e" },
    ],
    ["contents into a folder", contents, to("/t", "folder"), { folder: "/t", from: ".", to: "." }],
    [
      "contents as a new folder",
      contents,
      to("/t/e", "nothing"),
      { folder: "/t", from: ".", to: "e" },
    ],
  ];
  for (const [name, source, target, plan] of cases) {
    test(name, () => expect(planCopy(source, target)).toEqual(plan));
  }
  test("what cannot be", () => {
    expect(() => planCopy(folder, to("/t/g", "file"))).toThrow("cannot copy directory");
    expect(() => planCopy(file, to("/t/e/", "nothing"))).toThrow("no such directory");
  });
});

test("cp: arguments and renaming", () => {
  expect(splitCopyArgument("c:/x")).toEqual({ container: "c", path: "/x" });
  expect(splitCopyArgument("./c:x")).toEqual({ container: undefined, path: "./c:x" });
  expect(splitCopyArgument("/c:x")).toEqual({ container: undefined, path: "/c:x" });
  expect(splitCopyArgument("plain")).toEqual({ container: undefined, path: "plain" });
  expect(transformRule({ folder: "/", from: "a", to: "a" })).toBeUndefined();
  expect(transformRule({ folder: "/", from: "a.b", to: "c&d" })).toBe(
    String.raw`s|^a\.b\(/\|$\)|c\&d\1|S`,
  );
});
