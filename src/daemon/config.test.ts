import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type DaemonConfig, parseDaemonConfig, takeServiceManager } from "#daemon/config.ts";
import { OPTIONS } from "#daemon/options.ts";

const root = mkdtempSync("/tmp/naru-config-");
afterAll(() => rmSync(root, { recursive: true, force: true }));

let count = 0;
const fileOf = (content: unknown): string => {
  const path = `${root}/${count++}.json`;
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
};
const fromFile = (content: unknown, ...flags: string[]): DaemonConfig =>
  parseDaemonConfig(["--config-file", fileOf(content), ...flags]);
/** No file of the machine's own gets in. */
const fromFlags = (...flags: string[]): DaemonConfig => fromFile({}, ...flags);

const ACCEPTED: readonly [flags: string[], file: object, expected: Partial<DaemonConfig>][] = [
  [
    [],
    {},
    { dataRoot: "/var/lib/naru", execRoot: "/run/naru", hosts: ["unix:///run/naru/naru.sock"] },
  ],
  [["--data-root", "/d/../e"], { "data-root": "/e" }, { dataRoot: "/e" }],
  [["--exec-root=/x"], { "exec-root": "/x" }, { execRoot: "/x", hosts: ["unix:///x/naru.sock"] }],
  [
    ["-H", "fd://", "--host", "tcp://:1"],
    { hosts: ["fd://", "tcp://:1"] },
    { hosts: ["fd://", "tcp://:1"] },
  ],
  [["-p", "/p"], { pidfile: "/p" }, { pidFile: "/p" }],
  [["-G", "staff"], { group: "staff" }, { group: "staff" }],
  [[], {}, { group: undefined, tls: undefined, allowsInsecureTcp: false }],
  [
    ["--tlsverify", "--tlscacert", "/a", "--tlscert", "/c", "--tlskey", "/k"],
    { tlsverify: true, tlscacert: "/a", tlscert: "/c", tlskey: "/k" },
    { tls: { verifiesClients: true, caPath: "/a", certPath: "/c", keyPath: "/k" } },
  ],
  [["--insecure-tcp"], { "insecure-tcp": true }, { allowsInsecureTcp: true }],
  [["-D"], { debug: true }, { logLevel: "debug" }],
  [["-l", "warning"], { "log-level": "warn" }, { logLevel: "warn" }],
  [["--log-format", "json"], { "log-format": "json" }, { logFormat: "json" }],
  [["--default-runtime", "runc"], { "default-runtime": "runc" }, { defaultRuntime: "runc" }],
  [["--bip", "10.9.0.1/24"], { bip: "10.9.0.1/24" }, { bip: "10.9.0.1/24" }],
  [["--mtu", "1400"], { mtu: 1400 }, { mtu: 1400 }],
  [["--cgroup-parent", "/x"], { "cgroup-parent": "/x" }, { cgroupParent: "/x" }],
  [
    ["--log-driver", "local", "--log-opt", "max-size=1m", "--log-opt", "max-file=2"],
    { "log-driver": "local", "log-opts": { "max-size": "1m", "max-file": "2" } },
    { logDriver: "local", logOptions: { "max-size": "1m", "max-file": "2" } },
  ],
  [["--default-shm-size", "1g"], { "default-shm-size": "1g" }, { shmSizeBytes: 2 ** 30 }],
  [["--label", "a=b", "--label", "c="], { labels: ["a=b", "c="] }, { labels: ["a=b", "c="] }],
  [
    ["--seccomp-profile", "unconfined"],
    { "seccomp-profile": "unconfined" },
    { seccompProfile: "unconfined" },
  ],
  [["--init"], { init: true }, { hasInit: true }],
  [["--init=false"], { init: false }, { hasInit: false }],
  [["--shutdown-timeout=3"], { "shutdown-timeout": 3 }, { shutdownTimeoutSeconds: 3 }],
  [
    ["--live-restore", "--storage-driver", "overlay2"],
    { "live-restore": true, "userland-proxy": false },
    {},
  ],
];

test.each(ACCEPTED)("flags %j and file %j mean the same", (flags, file, expected) => {
  expect(fromFlags(...flags)).toMatchObject(expected as object);
  expect(fromFile(file)).toMatchObject(expected as object);
});

test("where ports go that name no address", () => {
  expect(parseDaemonConfig([]).publishIp).toBe("0.0.0.0");
  expect(parseDaemonConfig(["--ip", "192.0.2.1"]).publishIp).toBe("192.0.2.1");
  expect(parseDaemonConfig(["--publish-policy", "loopback"]).publishIp).toBe("127.0.0.1");
  expect(() => parseDaemonConfig(["--publish-policy", "some"])).toThrow("publish-policy");
  expect(() => parseDaemonConfig(["--publish-policy", "loopback", "--ip", "192.0.2.1"])).toThrow(
    "contradict",
  );
});

test("address pools, as flags and in the file", () => {
  const pool = { base: { address: 0x0a0a0000, prefix: 16 }, size: 24 };
  const argv = ["--default-address-pool", "base=10.10.0.0/16,size=24"];
  expect(parseDaemonConfig(argv).pools).toEqual([pool]);
  const pools = [{ base: "10.10.0.0/16", size: 24 }];
  expect(fromFile({ "default-address-pools": pools }).pools).toEqual([pool]);
  expect(parseDaemonConfig([]).pools).toBeUndefined();
  const wrong = [{ base: "10.10.0.0/16", size: 8 }];
  expect(() => fromFile({ "default-address-pools": wrong })).toThrow("invalid address pool");
  expect(() => fromFile({ "default-address-pools": ["x"] })).toThrow("a list of objects");
});

test("further runtimes are named in the file", () => {
  expect(fromFile({ runtimes: { mine: { path: "/opt/mine" } } }).runtimes).toEqual({
    mine: { path: "/opt/mine" },
  });
});

test("what builds may be granted is dockerd's key, with its defaults", () => {
  const granted = (file: object): string[] => [...fromFile(file).buildEntitlements];
  expect(granted({})).toEqual(["network.host"]);
  const both = { entitlements: { "security-insecure": true } };
  expect(granted({ builder: both })).toEqual(["network.host", "security.insecure"]);
  expect(granted({ builder: { entitlements: { "network-host": false } } })).toEqual([]);
});

test("a flag wins over the file, also one that says false", () => {
  const file = { "log-level": "error", labels: ["a=1"], init: true, tlsverify: true };
  const config = fromFile(
    file,
    "-l",
    "info",
    "--label",
    "b=2",
    "--init=false",
    "--tlsverify=false",
  );
  expect(config).toMatchObject({ logLevel: "info", labels: ["b=2"], hasInit: false });
});

const REFUSED: readonly [file: unknown, flags: string[], message: string | RegExp][] = [
  ["{", [], /config file ".*" is not JSON/],
  ["[]", [], "must hold a JSON object"],
  ["null", [], "must hold a JSON object"],
  [{ "data-rot": "/x" }, [], /unknown key "data-rot" \(known: .*data-root/],
  [{ "config-file": "/x" }, [], 'unknown key "config-file"'],
  [{ hosts: "unix:///x" }, [], '"hosts" must be a list of texts, not "unix:///x"'],
  [{ hosts: [1] }, [], '"hosts" must be a list of texts, not [1]'],
  [{ hosts: [] }, [], '"hosts" is empty'],
  [{ mtu: "1500" }, [], '"mtu" must be a whole number of 0 or more, not "1500"'],
  [{ mtu: 1.5 }, [], '"mtu" must be a whole number of 0 or more, not 1.5'],
  [{ "shutdown-timeout": -1 }, [], "must be a whole number of 0 or more"],
  [{ debug: "true" }, [], '"debug" must be true or false, not "true"'],
  [{ "log-opts": { "max-size": 1 } }, [], '"log-opts" must be an object of texts'],
  [{ "log-opts": { "no-such": "1" } }, [], "unknown log opt 'no-such' for json-file log driver"],
  [{ "log-driver": "journald" }, [], "no log driver named 'journald'"],
  [{ "data-root": null }, [], '"data-root" must be a text, not null'],
  [{ "data-root": "" }, [], '"data-root" is empty'],
  [{ runtimes: { mine: {} } }, [], 'runtime "mine" needs a "path"'],
  [
    { runtimes: { mine: { path: "/x", runtimeArgs: ["-d"] } } },
    [],
    '"runtimeArgs" is not supported',
  ],
  [{ builder: { gc: {} } }, [], '"builder": "gc" is not supported: use --disk-budget'],
  [{ builder: { entitlements: [] } }, [], '"builder": "entitlements" must be an object'],
  [{ builder: { entitlements: { device: true } } }, [], 'unknown key "device"'],
  [{ builder: { entitlements: { constructor: true } } }, [], 'unknown key "constructor"'],
  [{ builder: { entitlements: { "network-host": 1 } } }, [], "must be true or false"],
  [{ labels: ["plain"] }, [], 'label "plain" must be key=value'],
  [{ "default-shm-size": "much" }, [], "\"default-shm-size\": invalid size: 'much'"],
  [{ "log-level": "loud" }, [], '"log-level" must be one of debug, info, warn, error, not "loud"'],
  [{ "log-format": "xml" }, [], '"log-format" must be one of text, json'],
  [{ "live-restore": false }, [], "containers always outlive the daemon"],
  [{ "userland-proxy": true }, [], "publishes ports in the kernel"],
  [{ "storage-driver": "btrfs" }, [], 'storage driver "btrfs" is not supported: use "overlay2"'],
  [{ tlsverify: true }, [], "TLS needs both --tlscert and --tlskey"],
  [{}, ["--tlscert", "/c"], "TLS needs both --tlscert and --tlskey"],
  [{}, ["--tlsverify", "--tlscert", "/c", "--tlskey", "/k"], "--tlsverify needs --tlscacert"],
  [{}, ["--mtu", "many"], '--mtu must be a whole number of 0 or more, not "many"'],
  [{}, ["--log-opt", "max-size"], '--log-opt "max-size" must be key=value'],
  [{}, ["--runtimes", "x"], "--runtimes can only be set in the config file"],
  [{}, ["--no-such"], /no-such.*\nRun 'naru daemon --help'/s],
  [{}, ["stray"], /stray.*\nRun 'naru daemon --help'/s],
];

test.each(REFUSED)("file %j with flags %j is refused", (file, flags, message) => {
  expect(() => fromFile(file, ...flags)).toThrow(message);
});

test("a file that was named must exist", () => {
  expect(() => parseDaemonConfig(["--config-file", `${root}/absent`])).toThrow(
    `config file "${root}/absent" does not exist`,
  );
});

test("every option has one flag, one key and a word of help", () => {
  for (const part of ["flag", "key"] as const)
    expect(new Set(OPTIONS.map((option) => option[part])).size).toBe(OPTIONS.length);
  expect(OPTIONS.filter((option) => option.help === "")).toEqual([]);
});

test("what the service manager said is taken out of the environment", () => {
  const tell = (pid: number): void => {
    Object.assign(process.env, {
      NOTIFY_SOCKET: "/run/notify",
      LISTEN_PID: String(pid),
      LISTEN_FDS: "2",
      LISTEN_FDNAMES: "a:b",
    });
  };
  tell(process.pid);
  expect(takeServiceManager()).toEqual({ notifySocket: "/run/notify", passedSocketCount: 2 });
  expect(Object.keys(process.env).filter((name) => /^(LISTEN|NOTIFY)_/.test(name))).toEqual([]);
  expect(takeServiceManager()).toEqual({ notifySocket: undefined, passedSocketCount: 0 });
  // Sockets for another process are not ours.
  tell(1);
  expect(takeServiceManager().passedSocketCount).toBe(0);
});
