/** Known complaints of programs in their logs, and what helps. */

interface Clue {
  readonly pattern: RegExp;
  readonly meaning: string;
  readonly nextStep: string;
}

const CLUES: readonly Clue[] = [
  {
    pattern: /address already in use|EADDRINUSE/i,
    meaning: "the program's port is taken already",
    nextStep:
      "find the other listener in the container's network, or give the program another port",
  },
  {
    pattern: /exec format error/i,
    meaning: "the program was built for another CPU architecture",
    nextStep: "use an image for this machine's architecture (--platform)",
  },
  {
    pattern: /no space left on device|ENOSPC/i,
    meaning: "the disk is full",
    nextStep:
      "see what takes the space with 'naru system df' and free some with 'naru system prune'",
  },
  {
    pattern: /cannot allocate memory|out of memory|OutOfMemoryError|heap out of memory/i,
    meaning: "the program could not get more memory",
    nextStep: "give it more memory (-m), or let it use less",
  },
  {
    pattern:
      /could not resolve|name or service not known|ENOTFOUND|getaddrinfo|temporary failure in name resolution/i,
    meaning: "a host name could not be resolved",
    nextStep: "check the name, and that both containers are on one network",
  },
  {
    pattern: /connection refused|ECONNREFUSED/i,
    meaning: "another service refused the connection",
    nextStep:
      "check that the other service runs and listens where it is called; inside a container 'localhost' is the container itself",
  },
  {
    pattern: /permission denied|EACCES|operation not permitted|EPERM/i,
    meaning: "the program was denied something",
    nextStep:
      "check the owner and mode of mounted files, and the user (-u) and capabilities it needs",
  },
  {
    pattern: /read-only file system|EROFS/i,
    meaning: "the program wrote to a read-only file system",
    nextStep: "mount a volume or a tmpfs where it writes",
  },
  {
    pattern: /no such file or directory|ENOENT|module not found|cannot find module/i,
    meaning: "a file is missing",
    nextStep: "check the paths of mounts (-v) and the working folder (-w)",
  },
  {
    pattern:
      /(must|required).{0,40}(environment|env|variable|password)|environment variable .{0,40}(not set|missing|required)|password option/i,
    meaning: "a setting is missing",
    nextStep: "set the environment variable the program asks for (-e)",
  },
];

export interface LogClue {
  readonly line: string;
  readonly meaning: string;
  readonly nextStep: string;
}

/** The last line that one of the known complaints fits. */
export const findClue = (lines: readonly string[]): LogClue | undefined => {
  for (const line of lines.toReversed()) {
    const clue = CLUES.find(({ pattern }) => pattern.test(line));
    if (clue !== undefined) return { line, meaning: clue.meaning, nextStep: clue.nextStep };
  }
  return undefined;
};
