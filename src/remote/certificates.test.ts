/** Client certificates against a TLS server that demands them. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { createServer } from "node:tls";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toNaruError } from "#lib/errors.ts";
import { certificatesOf } from "#remote/certificates.ts";
import { createRemote } from "#remote/client.ts";
import { TEST_CONFIG } from "#remote/registry.fake.ts";
import { parseReference } from "#spec/image/reference.ts";

const signal = new AbortController().signal;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "naru-remote-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const failureOf = async (work: Promise<unknown>): Promise<[code: string, message: string]> => {
  try {
    await work;
  } catch (thrown) {
    const { code, message } = toNaruError(thrown);
    return [code, message];
  }
  return ["", "it did not fail"];
};

/** An authority "ca", and what `run` has it sign. */
const makeCertificates = (directory: string) => {
  const openssl = (...args: string[]): void => {
    const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args], { cwd: directory });
    if (exitCode !== 0) throw new Error(stderr.toString());
  };
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const files = (name: string) => ["-keyout", `${name}.key`, "-out", `${name}.crt`];
  openssl("req", "-x509", ...newKey, ...files("ca"), "-subj", "/CN=authority", "-days", "2");
  return {
    run: (name: string, subject: string, extension: string): void =>
      openssl(
        "req",
        "-x509",
        ...newKey,
        ...files(name),
        "-subj",
        subject,
        "-days",
        "2",
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
        "-addext",
        extension,
        "-addext",
        "basicConstraints=critical,CA:false",
      ),
    cert: (name: string): string => readFileSync(join(directory, `${name}.crt`), "utf8"),
    key: (name: string): string => readFileSync(join(directory, `${name}.key`), "utf8"),
  };
};

test("a registry that demands a certificate gets the one of its certs.d folder", async () => {
  const { cert, key, run } = makeCertificates(folder);
  run("server", "/CN=localhost", "subjectAltName=DNS:localhost");
  run("client", "/CN=client", "extendedKeyUsage=clientAuth");
  const seen: string[] = [];
  const server = createServer(
    {
      requestCert: true,
      rejectUnauthorized: true,
      ca: cert("ca"),
      cert: cert("server"),
      key: key("server"),
    },
    (socket) => {
      seen.push(String(socket.getPeerCertificate().subject.CN));
      socket.on("error", () => undefined);
      socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"));
    },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `localhost:${(server.address() as AddressInfo).port}`;
  const certificates = join(folder, "certs.d");
  mkdirSync(join(certificates, host), { recursive: true });
  writeFileSync(join(certificates, host, "ca.crt"), cert("ca"));
  const login = () =>
    createRemote({ ...TEST_CONFIG, certificateDirectories: [certificates] }).login(
      { serveraddress: `https://${host}`, username: "u", password: "p" },
      signal,
    );
  expect((await failureOf(login()))[0]).toBe("unavailable");
  expect(seen).toEqual([]);
  writeFileSync(join(certificates, host, "client.cert"), cert("client"));
  expect((await failureOf(login()))[1]).toContain('missing key "client.key"');
  writeFileSync(join(certificates, host, "client.key"), key("client"));
  await login();
  expect(new Set(seen)).toEqual(new Set(["client"]));
  // Another file that is no PEM (DER, for one) does no harm, as with dockerd.
  writeFileSync(join(certificates, host, "other.crt"), "no certificate");
  await login();
  expect(certificatesOf(host, [certificates]).unusable).toEqual([
    join(certificates, host, "other.crt"),
  ]);
  writeFileSync(join(certificates, host, "client.key"), key("server"));
  expect((await failureOf(login()))[1]).toContain(
    `client.key" does not belong to the certificate "${join(certificates, host, "client.cert")}"`,
  );
  writeFileSync(join(certificates, host, "client.key"), "junk");
  expect((await failureOf(login()))[1]).toContain("are no certificate and key in PEM");
  server.close();
});

test("an insecure registry that demands a certificate is not taken for one without TLS", async () => {
  const server = createTcpServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (bytes) => {
      const isPlain = bytes.toString("latin1").startsWith("GET ");
      // As Go's servers answer plain requests at a port for TLS.
      const words = "Client sent an HTTP request to an HTTPS server.";
      const answer = `HTTP/1.0 400 Bad Request\r\n\r\n${words}`;
      if (isPlain) socket.end(answer);
      else socket.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const repository = createRemote(TEST_CONFIG).repository(parseReference(`${host}/a/x:1`), {});
  const [code, message] = await failureOf(repository.manifest("1", signal));
  expect([code, message]).toEqual([
    "unavailable",
    `Get "https://${host}/v2/": connection reset by peer`,
  ]);
  server.close();
});

test("a folder's name may have the port that is TLS's own", () => {
  const { cert } = makeCertificates(folder);
  for (const host of ["a.example", "b.example:443"]) {
    mkdirSync(join(folder, host));
    writeFileSync(join(folder, host, "ca.crt"), cert("ca"));
  }
  const count = (host: string): number => certificatesOf(host, [folder]).authorities.length;
  expect([count("a.example"), count("b.example"), count("a.example:5000")]).toEqual([1, 1, 0]);
});
