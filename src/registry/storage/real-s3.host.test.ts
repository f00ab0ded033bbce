/**
 * The contract over buckets of servers that others wrote, as far as they are on the PATH: versitygw
 * (`go install github.com/versity/versitygw/cmd/versitygw@latest`), moto_server (`pip install moto[server]`), s3rver (npm).
 */
import { afterEach, beforeEach, describe } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "#lib/log.ts";
import { openS3Storage } from "#registry/storage/s3.ts";
import type { BlobStorage } from "#registry/storage/storage.ts";
import { storageSuite } from "#registry/storage/storage.suite.ts";

const KEY = "S3RVER";
const BUCKET = "bucket";
/** argv of a server on a port; `data` is an empty directory. */
const SERVERS: Readonly<Record<string, (port: number, data: string) => readonly string[]>> = {
  versitygw: (port, data) =>
    `--port 127.0.0.1:${port} --access ${KEY} --secret ${KEY} posix ${data}`.split(" "),
  moto_server: (port) => ["-H", "127.0.0.1", "-p", String(port)],
  s3rver: (port, data) => [
    "-d",
    data,
    "-a",
    "127.0.0.1",
    "-p",
    String(port),
    "--configure-bucket",
    BUCKET,
  ],
};

/** A version manager's stand-in may be on the PATH for a program that is not. */
const works = (program: string): boolean =>
  Bun.which(program) !== null &&
  Bun.spawnSync([program, "--help"], { stdout: "ignore", stderr: "ignore" }).exitCode === 0;

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" ? (address?.port ?? 0) : 0));
    });
  });

for (const [program, argv] of Object.entries(SERVERS)) {
  describe.skipIf(!works(program))(program, () => {
    let folder: string;
    let server: Bun.Subprocess;
    let storage: BlobStorage;
    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), "naru-s3-"));
      mkdirSync(join(folder, "data", BUCKET), { recursive: true });
      const port = await freePort();
      server = Bun.spawn([program, ...argv(port, join(folder, "data"))], {
        stdin: "ignore",
        stdout: "ignore",
        stderr: "ignore",
      });
      const endpoint = `http://127.0.0.1:${port}`;
      for (let answers = false; !answers;) {
        if (server.exitCode !== null) throw new Error(`${program} ended: ${server.exitCode}`);
        answers = await fetch(endpoint).then(
          () => true,
          () => Bun.sleep(50).then(() => false),
        );
      }
      const keys = { accessKeyId: KEY, secretAccessKey: KEY };
      // The others have it by then; moto asks nobody who he is.
      if (program === "moto_server") await fetch(`${endpoint}/${BUCKET}`, { method: "PUT" });
      storage = await openS3Storage(
        {
          endpoint,
          bucket: BUCKET,
          region: "us-east-1",
          prefix: "team/",
          ...keys,
          redirects: false,
        },
        silentLogger,
      );
    });
    afterEach(async () => {
      server.kill("SIGKILL");
      await server.exited;
      rmSync(folder, { recursive: true, force: true });
    });
    storageSuite(program, () => ({ storage, folder }));
  });
}
