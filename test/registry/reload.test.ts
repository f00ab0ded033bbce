/** A running registry takes up new certificates and rules; connections and uploads go on. */
import { renameSync, writeFileSync } from "node:fs";
import tls from "node:tls";

import { afterAll, expect, test } from "bun:test";

import { must, until } from "../harness/process.ts";
import { cleanUp, errorOf, pushImage, serve, sha256, temporaryDirectory } from "./world.ts";

afterAll(cleanUp);

const makeCertificate = async (folder: string, name: string): Promise<void> => {
  const files = ["-keyout", `${folder}/new.key`, "-out", `${folder}/new.crt`];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await must(["openssl", "req", "-x509", ...curve, ...files, "-subj", `/CN=${name}`]);
};
const takeCertificate = (folder: string): void => {
  renameSync(`${folder}/new.key`, `${folder}/tls.key`);
  renameSync(`${folder}/new.crt`, `${folder}/tls.crt`);
};

interface Connection {
  readonly name: string;
  ask(path: string): Promise<string>;
  end(): void;
}

/** One connection over TLS, kept open, and the name in the certificate that it was shown. */
const connect = (port: number): Promise<Connection> =>
  new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      resolve({
        name: String(socket.getPeerCertificate().subject.CN),
        ask: (path) =>
          new Promise((answer, fail) => {
            socket.once("data", (data) => answer(String(data).split("\r\n")[0] ?? ""));
            socket.once("close", () => fail(new Error("the connection was closed")));
            socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
          }),
        end: () => socket.destroy(),
      });
    });
    socket.on("error", reject);
  });

test("a renewed certificate counts for new connections, by a signal or by itself; old ones go on", async () => {
  const folder = temporaryDirectory();
  await makeCertificate(folder, "first");
  takeCertificate(folder);
  const flags = ["--tls-cert", `${folder}/tls.crt`, "--tls-key", `${folder}/tls.key`];
  const served = await serve(flags);
  const port = Number(served.host.split(":").at(-1));
  const old = await connect(port);
  expect(old.name).toBe("first");
  await makeCertificate(folder, "second");
  takeCertificate(folder);
  process.kill(served.pid, "SIGHUP");
  await until("the second certificate", async () => {
    const connection = await connect(port);
    connection.end();
    return connection.name === "second";
  });
  expect(await old.ask("/v2/")).toBe("HTTP/1.1 200 OK");
  // A certificate whose key has not come yet is not taken.
  await makeCertificate(folder, "third");
  renameSync(`${folder}/new.crt`, `${folder}/tls.crt`);
  await until("the refusal in the log", () => served.log().includes("is not the key of"));
  const between = await connect(port);
  expect(between.name).toBe("second");
  renameSync(`${folder}/new.key`, `${folder}/tls.key`);
  await until(
    "the third certificate",
    async () => {
      const connection = await connect(port);
      connection.end();
      return connection.name === "third";
    },
    60_000,
  );
  expect(await old.ask("/v2/")).toBe("HTTP/1.1 200 OK");
  expect(await between.ask("/v2/")).toBe("HTTP/1.1 200 OK");
  old.end();
  between.end();
}, 300_000);

test("rules, users and limits change under way; an upload that was begun goes on; mistakes change nothing", async () => {
  const path = `${temporaryDirectory()}/registry.json`;
  const write = (config: object): void => writeFileSync(path, JSON.stringify(config));
  write({});
  const served = await serve(["--config-file", path]);
  const { url } = served;
  const reload = async (config: object, sign: string): Promise<void> => {
    const before = served.log().split(sign).length;
    write(config);
    process.kill(served.pid, "SIGHUP");
    await until(`"${sign}" in the log`, () => served.log().split(sign).length > before);
  };
  await pushImage(url, "team/app", "v1", { layer: "one" });
  const begun = await fetch(`${url}/v2/team/app/blobs/uploads/`, { method: "POST" });
  const upload = new URL(begun.headers.get("location") ?? "", url);
  const append = (body: string) => fetch(upload, { method: "PATCH", body });
  expect((await append("first ")).status).toBe(202);

  const moved = (): Promise<string> =>
    pushImage(url, "team/app", "v1", { layer: "two" }).catch(String);
  const immutable = { "immutable-tags": [{ repositories: "team/**" }] };
  await reload(
    { ...immutable, "manifest-cache-size": 1_000_000, addr: "127.0.0.1:1" },
    "read again",
  );
  expect(served.log()).toContain("wait for a restart");
  expect(await moved()).toContain("DENIED");
  expect((await append("second")).status).toBe(202);
  const digest = sha256("first second");
  const ended = await fetch(`${upload.href}?digest=${digest}`, { method: "PUT" });
  expect(ended.status).toBe(201);

  await reload({ "imutable-tags": [] }, "was not taken");
  expect(served.log()).toContain('unknown key \\"imutable-tags\\"');
  expect(await moved()).toContain("DENIED");

  const users = `${temporaryDirectory()}/users`;
  writeFileSync(
    users,
    `me:${await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 })}\n`,
  );
  await reload({ htpasswd: users, "max-blob-size": 10 }, "read again");
  expect(await errorOf(await fetch(`${url}/v2/team/app/tags/list`))).toBe("401 UNAUTHORIZED");
  const headers = { authorization: `Basic ${btoa("me:secret")}` };
  expect((await fetch(`${url}/v2/team/app/tags/list`, { headers })).status).toBe(200);
  const large = "x".repeat(11);
  const refused = await fetch(`${url}/v2/team/app/blobs/uploads/?digest=${sha256(large)}`, {
    method: "POST",
    body: large,
    headers,
  });
  expect(await errorOf(refused)).toBe("413 SIZE_INVALID");
  await reload({}, "read again");
  expect((await fetch(`${url}/v2/team/app/tags/list`)).status).toBe(200);
  await pushImage(url, "team/app", "v1", { layer: "two" });
}, 300_000);
