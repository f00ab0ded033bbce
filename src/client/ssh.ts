/**
 * An engine behind ssh(1): `ssh HOST naru system dial-stdio`, whose standard streams are the connection. Keys, hosts and
 * questions are ssh's own affair. Where the far side has no naru, docker's command of that name does the same.
 */
import { describeAddress, type Wire, type WireEvents } from "#client/connection.ts";
import { NaruError } from "#lib/errors.ts";

export interface SshAddress {
  readonly kind: "ssh";
  readonly hostname: string;
  readonly user?: string;
  readonly port?: number;
  /** The engine's socket on the far side, where it is not its usual one. */
  readonly path?: string;
}

const CONNECT_SECONDS = 30;

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** A line for the far side's login shell, whichever that is. */
const remoteCommand = ({ path }: SshAddress): string => {
  const words = `${path === undefined ? "" : `--host ${quoted(`unix://${path}`)} `}system dial-stdio`;
  const script = `if command -v naru >/dev/null 2>&1; then exec naru ${words}; else exec docker ${words}; fi`;
  return `sh -c ${quoted(script)}`;
};

export const sshCommand = (address: SshAddress): string[] => [
  "ssh",
  ...(address.user === undefined ? [] : ["-l", address.user]),
  ...(address.port === undefined ? [] : ["-p", String(address.port)]),
  "-o",
  `ConnectTimeout=${CONNECT_SECONDS}`,
  "-T",
  "--",
  address.hostname,
  remoteCommand(address),
];

type Child = Bun.Subprocess<"pipe", "pipe", "pipe">;

const start = (address: SshAddress): Child => {
  try {
    return Bun.spawn(sshCommand(address), { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
  } catch (cause) {
    const message = `"${describeAddress(address)}" needs ssh on the PATH: apt-get install openssh-client`;
    throw new NaruError("failed_precondition", message, { cause });
  }
};

/** Starts ssh; what goes wrong there is told when the connection ends without a byte. */
export const openSsh = (address: SshAddress, events: WireEvents): Wire => {
  const child = start(address);
  const complaint = new Response(child.stderr).text();
  let isOpen = true;
  let resume: (() => void) | undefined;
  let isPaused: Promise<void> | undefined;
  const follow = async (): Promise<void> => {
    let hasAnswered = false;
    for await (const chunk of child.stdout) {
      hasAnswered = true;
      events.data(chunk);
      await isPaused;
    }
    const [exitCode, text] = await Promise.all([child.exited, complaint]);
    if (!hasAnswered && isOpen) {
      const reason = text.trim() || `it ended with exit code ${exitCode}`;
      events.error(new Error(`ssh to "${describeAddress(address)}": ${reason}`));
    }
    isOpen = false;
    events.end();
  };
  follow().catch((error: unknown) => {
    isOpen = false;
    events.error(error instanceof Error ? error : new Error(String(error)));
  });
  return {
    get readyState() {
      return isOpen ? 1 : 0;
    },
    write: async (data) => {
      try {
        await child.stdin.write(data);
        await child.stdin.flush();
        return data.length;
      } catch {
        // It has ended: why is told by its standard error, to the reader.
        return -1;
      }
    },
    pause: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      [isPaused, resume] = [promise, resolve];
    },
    resume: () => {
      resume?.();
      isPaused = undefined;
    },
    shutdown: () => void child.stdin.end(),
    terminate: () => {
      isOpen = false;
      resume?.();
      child.kill();
    },
  };
};
