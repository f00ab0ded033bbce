/** Child processes of the harness: run one to its end with bounded time and whole output. */

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The bytes of stdout, for binary checks. */
  readonly bytes: Buffer;
}

export interface RunOptions {
  readonly stdin?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** The process is killed after this; its code is then 128+9. Default 120 s. */
  readonly timeoutMs?: number;
}

/** Runs `argv` to its end. A signal as the end gives 128 + its number, as shells do. */
export const run = async (argv: readonly string[], options: RunOptions = {}): Promise<Output> => {
  const child = Bun.spawn([...argv], {
    stdin: options.stdin === undefined ? "ignore" : Buffer.from(options.stdin),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 120_000);
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).arrayBuffer(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  clearTimeout(timer);
  const bytes = Buffer.from(out);
  return { code, stdout: bytes.toString("utf8"), stderr: err, bytes };
};

/** As `run`, but anything else than exit code 0 throws with the output in the message. */
export const must = async (argv: readonly string[], options: RunOptions = {}): Promise<string> => {
  const result = await run(argv, options);
  if (result.code !== 0) {
    throw new Error(`${argv.join(" ")}: exit ${result.code}\n${result.stdout}${result.stderr}`);
  }
  return result.stdout;
};

export const sleep = (ms: number): Promise<void> => Bun.sleep(ms);

/** Asks until `probe` gives something other than undefined/false; throws `what` after the time. */
export const until = async <T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 60_000,
  stepMs = 50,
): Promise<T> => {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`waited ${timeoutMs} ms in vain for ${what}`);
    await sleep(stepMs);
  }
};
