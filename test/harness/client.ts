/** The client binary the tests drive: one function chooses it. */
import { mkdirSync } from "node:fs";

import { clientBinary } from "./client-binary.ts";
import { engine } from "./current.ts";
import { run, type Output, type RunOptions } from "./process.ts";

const binary = clientBinary();
/** One empty configuration for all test processes; nothing writes to it. */
const home = "/tmp/naru-e2e-client";
mkdirSync(home, { recursive: true });

/** The environment of a client: this engine, no contexts or plugins of the user. */
export const clientEnv: Readonly<Record<string, string | undefined>> = {
  DOCKER_HOST: engine.host,
  NARU_HOST: engine.host,
  DOCKER_CONFIG: home,
  DOCKER_CONTEXT: undefined,
  DOCKER_API_VERSION: undefined,
  HOME: home,
};

const versionText = Bun.spawnSync([binary, "--version"]).stdout.toString();
/** Major version of the client ("Docker version 28.2.2"); 0 where it says none. */
export const clientMajor = Number(/version (\d+)\./.exec(versionText)?.[1] ?? 0);
export const clientName = `${binary} (${versionText.trim()})`;

/** Runs the client with these arguments; never throws for an exit code. */
export const docker = (args: readonly string[], options: RunOptions = {}): Promise<Output> =>
  run([binary, ...args], { ...options, env: { ...clientEnv, ...options.env } });

/** Trimmed stdout; throws with the client's output unless it exits 0. */
export const dockerOk = async (...args: string[]): Promise<string> => {
  const result = await docker(args);
  if (result.code !== 0) {
    throw new Error(
      `docker ${args.join(" ")}: exit ${result.code}\n${result.stdout}${result.stderr}`,
    );
  }
  return result.stdout.trim();
};

const started = new Set<Bun.Subprocess>();
process.on("exit", () => {
  for (const child of started) child.kill("SIGKILL");
});

/** A child that does not outlive the test process. */
const owned = <T extends Bun.Subprocess>(child: T): T => {
  started.add(child);
  void child.exited.then(() => started.delete(child));
  return child;
};

/** A client on its own terminal. */
export interface Terminal {
  write(data: string): void;
  /** What the terminal showed so far. */
  text(): string;
  waitFor(part: string | RegExp, timeoutMs?: number): Promise<void>;
  resize(cols: number, rows: number): void;
  readonly exited: Promise<number>;
  kill(): void;
}

/** Starts a program on a pseudo terminal of 80×24. */
export const onPty = (...argv: string[]): Terminal => {
  let seen = "";
  const terminal = new Bun.Terminal({
    cols: 80,
    rows: 24,
    data: (_, data) => {
      seen += Buffer.from(data).toString("utf8");
    },
  });
  // setsid makes it the controlling terminal, so that a new size comes with SIGWINCH.
  const child = owned(
    Bun.spawn(["setsid", "--ctty", ...argv], {
      terminal,
      env: { ...process.env, ...clientEnv, TERM: "xterm" },
    }),
  );
  return {
    write: (data) => void terminal.write(data),
    text: () => seen,
    waitFor: async (part, timeoutMs = 60_000) => {
      const end = performance.now() + timeoutMs;
      while (typeof part === "string" ? !seen.includes(part) : !part.test(seen)) {
        if (performance.now() > end)
          throw new Error(`no ${String(part)} in ${JSON.stringify(seen)}`);
        await Bun.sleep(20);
      }
    },
    resize: (cols, rows) => {
      terminal.resize(cols, rows);
    },
    // The terminal's last words may come after the end of the process.
    exited: child.exited.then(async (code) => {
      await Bun.sleep(100);
      return code;
    }),
    kill: () => {
      child.kill("SIGKILL");
    },
  };
};

/** The client, so. */
export const dockerPty = (...args: string[]): Terminal => onPty(binary, ...args);

/** Starts the client and leaves it running; its output is collected. */
export const dockerBackground = (
  ...args: string[]
): {
  readonly child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  text(): string;
  /** Its exit code, once all output is collected. */
  readonly exited: Promise<number>;
  waitFor(part: string | RegExp, timeoutMs?: number): Promise<void>;
} => {
  const child = owned(
    Bun.spawn([binary, ...args], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, ...clientEnv },
    }),
  );
  const seen = { out: "", err: "" };
  const collect = async (stream: ReadableStream<Uint8Array>, key: "out" | "err"): Promise<void> => {
    const reader = stream.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      seen[key] += Buffer.from(value).toString("utf8");
    }
  };
  const streams = Promise.all([collect(child.stdout, "out"), collect(child.stderr, "err")]);
  return {
    child,
    text: () => seen.out,
    exited: streams.then(() => child.exited),
    waitFor: async (part, timeoutMs = 60_000) => {
      const end = performance.now() + timeoutMs;
      while (typeof part === "string" ? !seen.out.includes(part) : !part.test(seen.out)) {
        if (performance.now() > end) {
          throw new Error(`no ${String(part)} in ${JSON.stringify(seen)}`);
        }
        await Bun.sleep(20);
      }
    },
  };
};
