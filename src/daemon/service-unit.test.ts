import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { serviceUnit, serviceVerb, socketUnit } from "#daemon/service-unit.ts";

const valueOf = (unit: string, key: string): string | undefined =>
  new RegExp(`^${key}=(.*)$`, "m").exec(unit)?.[1];

test("the service takes its socket from systemd and tells it when it is ready", () => {
  const unit = serviceUnit("/usr/local/bin/naru");
  expect(valueOf(unit, "ExecStart")).toBe("/usr/local/bin/naru daemon --host fd://");
  expect(valueOf(unit, "Type")).toBe("notify");
  expect(valueOf(unit, "NotifyAccess")).toBe("main");
  expect(valueOf(unit, "Requires")).toBe("naru.socket");
  expect(valueOf(unit, "After")).toContain("naru.socket");
  expect(valueOf(unit, "ExecReload")).toBe("/bin/kill -s HUP $MAINPID");
});

test("stopping the service leaves the containers running", () => {
  const unit = serviceUnit("/x");
  expect(valueOf(unit, "KillMode")).toBe("process");
  expect(valueOf(unit, "Delegate")).toBe("yes");
});

test.each([
  ["/opt/my tools/naru", '"/opt/my tools/naru" daemon'],
  ["/opt/100%/naru", "/opt/100%%/naru daemon"],
  ["/opt/$x/naru", "/opt/$$x/naru daemon"],
])("the path %s is written as systemd reads it", (path, expected) => {
  expect(valueOf(serviceUnit(path), "ExecStart")).toStartWith(expected);
});

test("the socket is the default one, for the group docker", () => {
  const unit = socketUnit();
  expect(valueOf(unit, "ListenStream")).toBe("/run/naru/naru.sock");
  expect(valueOf(unit, "SocketMode")).toBe("0660");
  expect(valueOf(unit, "SocketGroup")).toBe("docker");
});

test.skipIf(Bun.which("systemd-analyze") === null)(
  "systemd has nothing to say against them",
  () => {
    const directory = mkdtempSync("/tmp/naru-units-");
    try {
      writeFileSync(`${directory}/naru.service`, serviceUnit("/bin/true"));
      writeFileSync(`${directory}/naru.socket`, socketUnit());
      const { stderr } = Bun.spawnSync(
        [
          "systemd-analyze",
          "verify",
          "--man=no",
          `${directory}/naru.service`,
          `${directory}/naru.socket`,
        ],
        { timeout: 20_000 },
      );
      const ours = stderr
        .toString()
        .split("\n")
        .filter((line) => /naru\.(service|socket)/.test(line));
      expect(ours).toEqual([]);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
);

test("who asks for help installs nothing; what is too much is refused", () => {
  expect(serviceVerb(["install", "--help"])).toBe("--help");
  expect(serviceVerb(["uninstall", "-h"])).toBe("--help");
  expect(serviceVerb([])).toBe("--help");
  expect(serviceVerb(["install"])).toBe("install");
  expect(() => serviceVerb(["uninstall", "--now"])).toThrow('unexpected argument "--now"');
});
