/** Registries beside the engine under test: Debian's docker-registry where it is installed, and naru's own. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";

import { clientBinary } from "./client-binary.ts";
import { clientEnv } from "./client.ts";
import { engine } from "./current.ts";
import { enterNet } from "./check.ts";
import { naruBinary } from "./naru.ts";
import { must, run, until, type Output } from "./process.ts";

const DEBIAN = "/usr/bin/docker-registry";
export const hasDockerRegistry = existsSync(DEBIAN);

export type RegistryKind = "docker-registry" | "naru";

export interface RegistryOptions {
  /** Name and password that it asks for. */
  readonly login?: { readonly username: string; readonly password: string };
  /** With a certificate that nobody signed. */
  readonly isTls?: boolean;
}

export interface PeerRegistry {
  /** "localhost:20001", as the engine reaches it. */
  readonly host: string;
  /** Path of its certificate, where it has TLS. */
  readonly certificate: string;
  stop(): Promise<void>;
  /** The docker client on the registry's own network, with a configuration of its own. */
  docker(...args: string[]): Promise<Output>;
  /** As `docker`; throws unless it exits 0. */
  dockerOk(...args: string[]): Promise<string>;
}

let nextPort = 20_000 + (process.pid % 20_000);

const makeCertificate = (base: string): Promise<string> =>
  must([
    ..."openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost".split(" "),
    ...`-addext subjectAltName=DNS:localhost -keyout ${base}/key.pem -out ${base}/cert.pem`.split(
      " ",
    ),
  ]);

const debianArgv = (base: string, port: number, options: RegistryOptions): string[] => {
  const { login, isTls } = options;
  const auth = login === undefined ? "" : `auth: {htpasswd: {realm: x, path: ${base}/htpasswd}}\n`;
  const tls = isTls === true ? `, tls: {certificate: ${base}/cert.pem, key: ${base}/key.pem}` : "";
  writeFileSync(
    `${base}/config.yml`,
    `version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: ${base}/data}, delete: {enabled: true}}
${auth}http: {addr: "127.0.0.1:${port}"${tls}}
`,
  );
  return [DEBIAN, "serve", `${base}/config.yml`];
};

const naruArgv = (base: string, port: number, { login, isTls }: RegistryOptions): string[] => [
  naruBinary(),
  ...`registry serve --addr 127.0.0.1:${port} --data-root ${base}/data`.split(" "),
  ...(login === undefined ? [] : ["--htpasswd", `${base}/htpasswd`]),
  ...(isTls === true ? ["--tls-cert", `${base}/cert.pem`, "--tls-key", `${base}/key.pem`] : []),
];

/** Answers requests when this resolves. */
export const startRegistry = async (
  kind: RegistryKind,
  options: RegistryOptions = {},
): Promise<PeerRegistry> => {
  const base = mkdtempSync("/tmp/naru-e2e-registry-");
  const port = nextPort++;
  const { login } = options;
  if (options.isTls === true) await makeCertificate(base);
  if (login !== undefined) {
    const hash = await Bun.password.hash(login.password, { algorithm: "bcrypt", cost: 4 });
    writeFileSync(`${base}/htpasswd`, `${login.username}:${hash.replace(/^\$2b/, "$2y")}\n`);
  }
  const argv = kind === "naru" ? naruArgv(base, port, options) : debianArgv(base, port, options);
  const log = Bun.file(`${base}/log`);
  const child = Bun.spawn([...enterNet, ...argv], { stdout: log, stderr: log });
  const scheme = options.isTls === true ? "https" : "http";
  await until(`${kind} to answer (log: ${base}/log)`, async () => {
    const probe = ["curl", "-ksf", "-o", "/dev/null", "-w", "%{http_code}"];
    const out = await run([...enterNet, ...probe, `${scheme}://localhost:${port}/v2/`]);
    return ["200", "401"].includes(out.stdout);
  });
  const home = `${base}/client`;
  mkdirSync(home);
  const client = (args: readonly string[]): Promise<Output> =>
    run([...enterNet, clientBinary(), ...args], {
      env: { ...clientEnv, DOCKER_HOST: engine.host, DOCKER_CONFIG: home, HOME: home },
    });
  return {
    host: `localhost:${port}`,
    certificate: `${base}/cert.pem`,
    docker: (...args) => client(args),
    dockerOk: async (...args) => {
      const out = await client(args);
      if (out.code === 0) return out.stdout.trim();
      throw new Error(`docker ${args.join(" ")}: exit ${out.code}\n${out.stdout}${out.stderr}`);
    },
    stop: async () => {
      child.kill("SIGTERM");
      await child.exited;
      rmSync(base, { recursive: true, force: true });
    },
  };
};
