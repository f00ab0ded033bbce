/** Requests that come before the rooms are up. */
import { afterEach, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import net from "node:net";
import { createDockerServer } from "#api/docker/api.ts";
import type { DockerBackend } from "#api/docker/backend.ts";
import { createFakeBackend } from "#api/docker/backend.fake.ts";
import { NaruError } from "#lib/errors.ts";
import { randomHex } from "#lib/clock.ts";

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

const serve = async () => {
  const path = `/tmp/naru-opening-${randomHex(6)}.sock`;
  const fake = createFakeBackend();
  const opening = Promise.withResolvers<DockerBackend>();
  let asked = 0;
  const backend = (): Promise<DockerBackend> => {
    asked += 1;
    return opening.promise;
  };
  const http = createDockerServer({ backend, logger: fake.logger });
  const server = net.createServer({ allowHalfOpen: true }, (socket) => http.onConnection(socket));
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(path, resolve);
  await promise;
  ends.push(async () => {
    await http.close(100);
    server.close();
    rmSync(path, { force: true });
  });
  const get = (url: string, method = "GET") => fetch(`http://d${url}`, { unix: path, method });
  return { fake, opening, get, asked: () => asked };
};

test("pings are answered before the rooms are up, with all fields of an answer", async () => {
  const { get, asked } = await serve();
  const answer = await get("/_ping");
  expect([answer.status, await answer.text()]).toEqual([200, "OK"]);
  expect(answer.headers.get("api-version")).toMatch(/^1\.\d+$/);
  expect((await get("/_ping", "HEAD")).headers.get("ostype")).toBe("linux");
  expect(asked()).toBe(0);
});

test("other requests wait for the rooms, and are answered when those are up", async () => {
  const { fake, opening, get, asked } = await serve();
  let isAnswered = false;
  const waiting = Promise.all([get("/version"), get("/v1.41/_ping")]).then((answers) => {
    isAnswered = true;
    return answers.map(({ status }) => status);
  });
  while (asked() === 0) await get("/_ping");
  expect((await get("/_ping")).status).toBe(200);
  expect(isAnswered).toBe(false);
  opening.resolve(fake);
  expect(await waiting).toEqual([200, 200]);
  expect((await get("/containers/json")).status).toBe(200);
});

test("when the rooms do not come up, who waits hears why", async () => {
  const { opening, get } = await serve();
  opening.promise.catch(() => undefined); // the daemon waits for it too
  const waiting = get("/info");
  opening.reject(new NaruError("failed_precondition", "the bridge has another address"));
  const answer = await waiting;
  expect([answer.status, await answer.json()]).toEqual([
    503,
    { message: "the engine could not start: the bridge has another address" },
  ]);
});
