/** A git repository served over HTTP on loopback, by git's own http-backend. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

import { must } from "./process.ts";

export interface GitServer {
  /** Ends in ".git"; the branch is main. */
  readonly url: string;
  /** How often objects were asked for. */
  fetches(): number;
  stop(): Promise<void>;
}

const endOfHead = (answer: Buffer): number => answer.indexOf("\r\n\r\n");

/** One commit with these files. */
export const gitServer = async (files: Readonly<Record<string, string>>): Promise<GitServer> => {
  const root = mkdtempSync("/tmp/naru-e2e-git-");
  const made = `${root}/made`;
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(`${made}/${path}`), { recursive: true });
    writeFileSync(`${made}/${path}`, text);
  }
  const git = (...args: string[]): Promise<string> =>
    must(["git", "-c", "user.name=e2e", "-c", "user.email=e2e@localhost", "-C", made, ...args]);
  await git("init", "-q", "-b", "main");
  await git("add", "-A");
  await git("commit", "-q", "-m", "files");
  await must(["git", "clone", "-q", "--bare", made, `${root}/app.git`]);
  let fetches = 0;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const { pathname, search } = new URL(request.url);
      const body = new Uint8Array(await request.arrayBuffer());
      if (Buffer.from(body).includes("command=fetch")) fetches += 1;
      const child = Bun.spawn(["git", "http-backend"], {
        stdin: body,
        stdout: "pipe",
        stderr: "ignore",
        env: {
          PATH: process.env["PATH"],
          GIT_PROJECT_ROOT: root,
          GIT_HTTP_EXPORT_ALL: "1",
          REQUEST_METHOD: request.method,
          PATH_INFO: pathname,
          QUERY_STRING: search.slice(1),
          CONTENT_TYPE: request.headers.get("content-type") ?? "",
          CONTENT_LENGTH: String(body.length),
          HTTP_CONTENT_ENCODING: request.headers.get("content-encoding") ?? "",
          GIT_PROTOCOL: request.headers.get("git-protocol") ?? "",
        },
      });
      const answer = Buffer.from(await new Response(child.stdout).arrayBuffer());
      const at = endOfHead(answer);
      const lines = answer.subarray(0, at).toString().split("\r\n");
      const headers = lines.map((line) => line.split(": ") as [string, string]);
      const status = headers.find(([name]) => name === "Status")?.[1] ?? "200";
      return new Response(answer.subarray(at + 4), {
        status: Number.parseInt(status),
        headers: headers.filter(([name]) => name !== "Status"),
      });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/app.git`,
    fetches: () => fetches,
    stop: async () => {
      await server.stop(true);
      rmSync(root, { recursive: true, force: true });
    },
  };
};
