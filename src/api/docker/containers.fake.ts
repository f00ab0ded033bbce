/** The containers of the backend in memory. */
import { bytesOf, digest, type FakeState, ZERO } from "#api/docker/record.fake.ts";
import type { ContainerRecord } from "#container/container.ts";
import type { Containers, WaitResult } from "#container/containers.ts";
import { NaruError } from "#lib/errors.ts";

// oxlint-disable-next-line eslint/max-lines-per-function
export const createFakeContainers = (fake: FakeState): Containers => {
  const note: FakeState["note"] = (...parts) => fake.note(...parts);
  const get = (name: string): ContainerRecord => {
    const bare = name.replace(/^\//, "");
    const record = fake.records.find((r) => r.name === bare || r.id.startsWith(bare));
    if (record === undefined) throw new NaruError("not_found", `No such container: ${name}`);
    return record;
  };
  const stat = { name: "f", size: 3, mode: 420, mtime: ZERO, linkTarget: "" };
  return {
    get,
    list: () => fake.records,
    create: async (name, request, platform) => {
      note("create", name ?? "-", request, platform ?? "-");
      return { Id: "new", Warnings: [] };
    },
    start: async (name) => note("start", get(name).name),
    stop: async (name, options) => note("stop", get(name).name, options),
    restart: async (name, options) => note("restart", get(name).name, options),
    restartUnderway: () => fake.restartUnderway,
    kill: async (name, signal) => note("kill", get(name).name, signal),
    pause: async (name) => note("pause", get(name).name),
    unpause: async (name) => note("unpause", get(name).name),
    rename: async (name, to) => note("rename", get(name).name, to),
    update: async (name, request) => {
      note("update", get(name).name, request);
      return { Warnings: null };
    },
    wait: (name, condition, signal) => {
      note("wait", get(name).name, condition);
      const waiter = Promise.withResolvers<WaitResult>();
      signal.addEventListener("abort", () => {
        fake.calls.push("wait aborted");
        waiter.reject(new NaruError("canceled", "gone"));
      });
      fake.waiters.push(waiter);
      return waiter.promise;
    },
    connect: async (name, network, settings) =>
      note("connect", get(name).name, network, settings ?? "-"),
    changePorts: async (name, change) => {
      note("ports", get(name).name, change);
      return {};
    },
    disconnect: async (name, network) => note("disconnect", get(name).name, network),
    remove: async (name, options) => note("remove", get(name).name, options),
    prune: async (filters) => {
      note("prune", [...filters]);
      return { ContainersDeleted: ["x"], SpaceReclaimed: 5 };
    },
    attach: async (name, options) => {
      note("attach", get(name).name, options);
      return fake.session;
    },
    removeLink: (link) => note("removeLink", link),
    logs: (name, options) => {
      const { signal, ...rest } = options;
      fake.calls.push(`logs ${get(name).name} ${Bun.inspect(rest, { compact: true })}`);
      return (async function* () {
        yield* fake.logLines;
        if (!options.follow) return;
        await new Promise<void>((resolve) => {
          signal.addEventListener("abort", () => resolve(), { once: true });
        });
        fake.calls.push("logs aborted");
      })();
    },
    stats: async (name) => ({
      id: get(name).id,
      read: "now",
      cpu_stats: { total: fake.calls.push("stats") },
    }),
    top: async (name, args) => {
      note("top", get(name).name, args);
      return { Titles: ["PID"], Processes: [["1"]] };
    },
    resize: async (name, size) => note("resize", get(name).name, size),
    changes: async () => [],
    sizes: async () => ({ rw: 7, rootFs: 70 }),
    export: async () => bytesOf("tar"),
    statPath: async (name, path) => {
      note("stat", get(name).name, path);
      return stat;
    },
    readArchive: async (name, path) => {
      note("read", get(name).name, path);
      return { stat, tar: bytesOf("tar bytes") };
    },
    writeArchive: async (name, path, tar, options) => {
      let size = 0;
      for await (const part of tar) size += part.length;
      note("write", get(name).name, path, size, options);
    },
    commit: async (request) => {
      note("commit", request);
      return { Id: digest("cc") };
    },
    execCreate: async (name, request) => {
      note("execCreate", get(name).name, request);
      return { Id: "x1" };
    },
    execStart: async (id, options) => {
      note("execStart", id, options);
      return options.detach ? undefined : fake.session;
    },
    execInspect: (id) => {
      if (id !== "x1") throw new NaruError("not_found", `No such exec instance: ${id}`);
      return {
        ID: id,
        Running: false,
        ExitCode: 3,
        ProcessConfig: {
          tty: fake.session.isTty,
          entrypoint: "sh",
          arguments: [],
          privileged: false,
        },
        OpenStdin: true,
        OpenStderr: true,
        OpenStdout: true,
        CanRemove: false,
        ContainerID: get("web").id,
        DetachKeys: "",
        Pid: 0,
      };
    },
    execResize: async (id, size) => note("execResize", id, size),
    execIds: () => ["x1"],
  };
};
