import { expect, test } from "bun:test";
import { parseFlags } from "#cli/framework/parse.ts";
import { containerFlags } from "#cli/run-options/flags.ts";
import { buildCreateRequest } from "#cli/run-options/request.ts";

const build = (line: string, env: Record<string, string> = {}) => {
  const parsed = parseFlags(containerFlags, line.split(" "), false);
  const [image = "", ...args] = parsed.args;
  return buildCreateRequest({ flags: parsed.values, changed: parsed.changed, image, args, env });
};

test("a bare run says as little as possible", async () => {
  expect(await build("bb")).toEqual({
    Image: "bb",
    Labels: {},
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    AttachStdin: false,
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: { NetworkMode: "default", RestartPolicy: { Name: "no", MaximumRetryCount: 0 } },
  });
});

test("interactive terminals", async () => {
  const request = await build("-it --rm bb sh -c x");
  expect(request).toMatchObject({
    Cmd: ["sh", "-c", "x"],
    Tty: true,
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    HostConfig: { AutoRemove: true },
  });
});

test("limits, devices and capabilities land in their fields", async () => {
  const { HostConfig } = await build(
    "-m 64m --memory-swap -1 --cpus 1.5 --cpuset-cpus 0 --pids-limit 10 --ulimit nofile=1024:2048 " +
      "--device /dev/null:/dev/x:r --cap-add NET_ADMIN --shm-size 1g --gpus all --blkio-weight 100 bb",
  );
  expect(HostConfig).toMatchObject({
    Memory: 67_108_864,
    MemorySwap: -1,
    NanoCpus: 1_500_000_000,
    CpusetCpus: "0",
    PidsLimit: 10,
    Ulimits: [{ Name: "nofile", Soft: 1024, Hard: 2048 }],
    Devices: [{ PathOnHost: "/dev/null", PathInContainer: "/dev/x", CgroupPermissions: "r" }],
    CapAdd: ["CAP_NET_ADMIN"],
    ShmSize: 1_073_741_824,
    DeviceRequests: [{ Count: -1, Capabilities: [["gpu"]] }],
    BlkioWeight: 100,
  });
});

test("environment: values, names from here, and names that are unset", async () => {
  const request = await build("-e A=1 -e HERE -e GONE bb", { HERE: "yes" });
  expect(request.Env).toEqual(["A=1", "HERE=yes", "GONE"]);
});

test("health checks", async () => {
  expect(
    (await build("--health-cmd true --health-interval 1s --health-retries 3 bb")).Healthcheck,
  ).toEqual({
    Test: ["CMD-SHELL", "true"],
    Interval: 1_000_000_000,
    Retries: 3,
  });
  expect((await build("--no-healthcheck bb")).Healthcheck).toEqual({ Test: ["NONE"] });
  expect(build("--no-healthcheck --health-cmd x bb")).rejects.toThrow("conflicts with --health-*");
  expect(build("--health-interval=-1s bb")).rejects.toThrow("--health-interval cannot be negative");
});

test("networks: modes, the long form, and the flags of the first one", async () => {
  expect((await build("--network host bb")).HostConfig?.NetworkMode).toBe("host");
  expect((await build("--network host bb")).NetworkingConfig).toBeUndefined();
  const long = await build("--network name=n1,alias=a,ip=10.0.0.2 --network n2 bb");
  expect(long.NetworkingConfig?.EndpointsConfig).toEqual({
    n1: { Aliases: ["a"], IPAMConfig: { IPv4Address: "10.0.0.2" } },
    n2: {},
  });
  const old = await build("--net n1 --network-alias x --mac-address 92:d0:c6:0a:29:33 bb");
  expect(old.NetworkingConfig?.EndpointsConfig).toEqual({
    n1: { Aliases: ["x"], MacAddress: "92:d0:c6:0a:29:33" },
  });
  expect(build("--network-alias x bb")).rejects.toThrow("only supported for user-defined networks");
  expect(build("--network host --network n1 bb")).rejects.toThrow(
    "both user-defined and non-user-defined",
  );
  expect(build("--mac-address nope --network n bb")).rejects.toThrow(
    "nope is not a valid mac address",
  );
});

test("links: of the container, and of its endpoint in a network with names", async () => {
  const plain = await build("--link a:b --link c bb");
  expect(plain.HostConfig?.Links).toEqual(["a:b", "c"]);
  expect(plain.NetworkingConfig?.EndpointsConfig ?? {}).toEqual({});
  const named = await build("--network n1 --network n2 --link a:b bb");
  expect(named.NetworkingConfig?.EndpointsConfig).toEqual({ n1: { Links: ["a:b"] }, n2: {} });
});

test("what naru does not do is refused by name", async () => {
  expect(build("--use-api-socket bb")).rejects.toThrow("--use-api-socket is not supported");
});

test("conflicts and bad values in docker's words", async () => {
  expect(build("--rm --restart always bb")).rejects.toThrow(
    "cannot specify both --restart and --rm",
  );
  expect(build("--memory-swappiness 200 bb")).rejects.toThrow(
    "Valid memory swappiness range is 0-100",
  );
  expect(build("--pid what bb")).rejects.toThrow("--pid: invalid PID mode");
  expect(build("--security-opt x bb")).rejects.toThrow('invalid --security-opt: "x"');
  expect(() => parseFlags(containerFlags, ["-m", "abc"])).toThrow("invalid size: 'abc'");
  expect(() => parseFlags(containerFlags, ["--cpus", "x"])).toThrow(
    "failed to parse x as a rational number",
  );
  expect(() => parseFlags(containerFlags, ["--ulimit", "foo=1"])).toThrow(
    "invalid ulimit type: foo",
  );
  expect(() => parseFlags(containerFlags, ["-e", "=x"])).toThrow(
    "invalid environment variable: =x",
  );
  expect(() => parseFlags(containerFlags, ["--dns", "x"])).toThrow(
    "IP address is not correctly formatted: x",
  );
  expect(() => parseFlags(containerFlags, ["--add-host", "x"])).toThrow(
    'bad format for add-host: "x"',
  );
  expect(() => parseFlags(containerFlags, ["--sysctl", "kernel.x=1"])).toThrow(
    "sysctl 'kernel.x=1' is not allowed",
  );
});

test("entrypoint, restart, tmpfs, system paths", async () => {
  const request = await build(
    "--entrypoint= --restart on-failure:3 --tmpfs /t:size=1m --security-opt systempaths=unconfined bb",
  );
  expect(request.Entrypoint).toEqual([""]);
  expect(request.HostConfig).toMatchObject({
    RestartPolicy: { Name: "on-failure", MaximumRetryCount: 3 },
    Tmpfs: { "/t": "size=1m" },
    MaskedPaths: [],
    ReadonlyPaths: [],
  });
  expect(request.HostConfig?.SecurityOpt).toBeUndefined();
});
