/** A session with dockerode, as programs use it. */
import { expect } from "bun:test";
import Docker from "dockerode";
import { PassThrough } from "node:stream";

import { BUSYBOX, check, engine, until } from "../harness/check.ts";
import { readTar, writeTar } from "../harness/tar.ts";

const client = new Docker({ socketPath: engine.socketPath });

const text = async (stream: NodeJS.ReadableStream): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks);
};

check("dockerode: ping, version, info, df", async () => {
  expect(String(await client.ping())).toBe("OK");
  expect((await client.version()).ApiVersion).toBe(engine.apiVersion);
  expect(((await client.info()) as { NCPU: number }).NCPU).toBeGreaterThan(0);
  expect(Object.keys((await client.df()) as object)).toContain("Images");
});

check("dockerode: run with its output and code", async (t) => {
  const name = t.name();
  const stdout = new PassThrough();
  const collected = text(stdout);
  const [result, container] = (await client.run(
    BUSYBOX,
    ["sh", "-c", "echo from dockerode; exit 3"],
    [stdout, new PassThrough()],
    { name, Tty: false },
  )) as [{ StatusCode: number }, Docker.Container];
  stdout.end();
  expect(result.StatusCode).toBe(3);
  expect((await collected).toString()).toBe("from dockerode\n");
  await container.remove();
});

check("dockerode: create, start, inspect, logs, stop, remove", async (t) => {
  const container = await client.createContainer({
    Image: BUSYBOX,
    name: t.name(),
    Cmd: ["sh", "-c", "echo up; exec sleep 600"],
    Labels: { a: "b" },
  });
  t.defer(() => container.remove({ force: true }));
  await container.start();
  const info = await container.inspect();
  expect([info.State.Running, info.Config.Labels["a"]]).toEqual([true, "b"]);
  await until("its word", async () =>
    (await container.logs({ stdout: true })).toString().includes("up"),
  );
  await container.stop({ t: 0 });
  expect((await container.inspect()).State.Status).toBe("exited");
});

check("dockerode: attach with hijacked stdin", async (t) => {
  const container = await client.createContainer({
    Image: BUSYBOX,
    name: t.name(),
    Cmd: ["cat"],
    OpenStdin: true,
    StdinOnce: true,
  });
  t.defer(() => container.remove({ force: true }));
  const stream = await container.attach({ stream: true, stdin: true, stdout: true, hijack: true });
  await container.start();
  const [out, err] = [new PassThrough(), new PassThrough()];
  client.modem.demuxStream(stream, out, err);
  const collected = text(out);
  stream.on("end", () => out.end());
  stream.end("through dockerode");
  expect((await collected).toString()).toBe("through dockerode");
});

check("dockerode: exec with demultiplexed streams", async (t) => {
  const container = client.getContainer(await t.idle());
  const exec = await container.exec({
    Cmd: ["sh", "-c", "echo o; echo e >&2; exit 2"],
    AttachStdout: true,
    AttachStderr: true,
  });
  const stream = await exec.start({});
  const [out, err] = [new PassThrough(), new PassThrough()];
  client.modem.demuxStream(stream, out, err);
  const both = Promise.all([text(out), text(err)]);
  await new Promise((resolve) => stream.on("end", resolve));
  out.end();
  err.end();
  expect((await both).map(String)).toEqual(["o\n", "e\n"]);
  expect((await exec.inspect()).ExitCode).toBe(2);
});

check("dockerode: archives both ways", async (t) => {
  const container = client.getContainer(await t.idle());
  await container.putArchive(writeTar([{ name: "put", body: "archive" }]), { path: "/tmp" });
  const tar = readTar(await text(await container.getArchive({ path: "/tmp/put" })));
  expect(tar.get("put")?.body.toString()).toBe("archive");
});

check("dockerode: events, then list with filters", async (t) => {
  const label = t.name();
  const events = await client.getEvents({ filters: { label: [label] } });
  const first = new Promise<string>((resolve) =>
    events.once("data", (chunk: Buffer) => resolve(chunk.toString())),
  );
  const name = await t.create("-l", label, BUSYBOX);
  expect(await first).toContain('"create"');
  (events as unknown as { destroy(): void }).destroy();
  const list = await client.listContainers({ all: true, filters: { label: [label] } });
  expect(list.map((entry) => entry.Names)).toEqual([[`/${name}`]]);
});

check("dockerode: images, tag, history, save and load", async (t) => {
  const name = t.name();
  const image = client.getImage(BUSYBOX);
  await image.tag({ repo: name, tag: "d" });
  t.defer(() => client.getImage(`${name}:d`).remove());
  expect((await image.history()).length).toBeGreaterThan(0);
  const archive = await text(await client.getImage(`${name}:d`).get());
  expect(readTar(archive).has("manifest.json")).toBe(true);
  const progress = await text(await client.loadImage(PassThrough.from(archive)));
  expect(progress.toString()).toContain(`${name}:d`);
  expect((await client.listImages({ filters: { reference: [`${name}:*`] } })).length).toBe(1);
});

check("dockerode: volumes and networks", async (t) => {
  const name = t.name();
  const volume = await client.createVolume({ Name: name, Labels: { x: "y" } });
  expect(((await client.getVolume(name).inspect()) as { Labels: unknown }).Labels).toEqual({
    x: "y",
  });
  await client.getVolume(name).remove();
  expect(volume).toBeDefined();
  expect((await client.listNetworks()).map((network) => network.Name)).toContain("bridge");
});

check("dockerode: errors have the status and the message", async () => {
  const error = await client
    .getContainer("e2e-unknown")
    .inspect()
    .then(
      () => undefined,
      (thrown: { statusCode: number; json: unknown }) => thrown,
    );
  expect(error?.statusCode).toBe(404);
});

check("dockerode: commit and stats", async (t) => {
  const container = client.getContainer(await t.idle());
  const repo = t.name();
  t.defer(() => client.getImage(repo).remove());
  await container.commit({ repo, comment: "by dockerode" });
  expect((await client.getImage(repo).inspect()).Comment).toBe("by dockerode");
  const stats = await container.stats({ stream: false });
  expect(stats.memory_stats.usage).toBeGreaterThan(0);
});
