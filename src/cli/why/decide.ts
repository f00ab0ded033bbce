/** One verdict out of the facts. Pure: the same facts give the same words. */
import { bytesSize } from "#cli/format/units.ts";
import type { Verdict, WhyFacts } from "#cli/why/facts.ts";
import { findClue } from "#cli/why/log-clues.ts";

const SIGNALS: Readonly<Record<number, readonly [name: string, meaning: string]>> = {
  1: ["SIGHUP", "its terminal went away"],
  2: ["SIGINT", "somebody interrupted it (ctrl-c)"],
  3: ["SIGQUIT", "somebody asked it to quit"],
  4: ["SIGILL", "it used an instruction this CPU does not have"],
  6: ["SIGABRT", "the program gave up by itself (abort)"],
  7: ["SIGBUS", "it touched memory that is not there"],
  8: ["SIGFPE", "it made an arithmetic error"],
  9: ["SIGKILL", "it was killed"],
  11: ["SIGSEGV", "it crashed (memory violation)"],
  13: ["SIGPIPE", "it wrote to a pipe nobody reads"],
  15: ["SIGTERM", "it was asked to stop"],
};

const SHELLS = /(^|\/)(sh|bash|ash|dash|zsh)$/;

const quoteLine = (line: string): string => `"${line.trim().slice(0, 200)}"`;

const lastLines = (facts: WhyFacts): string[] =>
  facts.logLines.slice(-3).map((line) => `log: ${quoteLine(line)}`);

const commonEvidence = (facts: WhyFacts): string[] => [
  `exit code ${String(facts.exitCode)}`,
  ...(facts.ranSeconds === undefined ? [] : [`ran for ${facts.ranSeconds.toFixed(1)} seconds`]),
  ...(facts.restartCount > 0
    ? [`restarted ${String(facts.restartCount)} times (policy "${facts.restartPolicy}")`]
    : []),
];

type Rule = (facts: WhyFacts) => Verdict | undefined;

const neverStarted: Rule = (facts) => {
  if (facts.status !== "created") return undefined;
  if (facts.startError === "") {
    return {
      kind: "not-started",
      isProblem: false,
      summary: `"${facts.name}" was created but never started`,
      evidence: ['status "created", no start was tried'],
      nextSteps: [`naru start ${facts.name}`],
    };
  }
  return startFailed(facts);
};

const startFailed = (facts: WhyFacts): Verdict => {
  const [program = ""] = facts.command;
  const { startError } = facts;
  const isMissing = /executable file not found|no such file or directory/i.test(startError);
  const isDenied = /permission denied/i.test(startError);
  const isPortTaken = /address already in use|port is already allocated/i.test(startError);
  const summary = isMissing
    ? `"${facts.name}" could not start: its image has no program "${program}"`
    : isDenied
      ? `"${facts.name}" could not start: "${program}" may not be executed`
      : isPortTaken
        ? `"${facts.name}" could not start: a port it publishes is taken on this machine`
        : `"${facts.name}" could not start`;
  const nextStep = isMissing
    ? "check the command's spelling, and that the program (and its shared libraries) is in the image"
    : isDenied
      ? "set the execute bit on the program (chmod +x), or check the user (-u)"
      : isPortTaken
        ? "publish another port (-p), or stop what holds this one ('naru ps', 'ss -ltnp')"
        : `read the engine's words above, then: naru start ${facts.name}`;
  return {
    kind: isPortTaken
      ? "port-taken"
      : isMissing
        ? "program-missing"
        : isDenied
          ? "program-denied"
          : "start-failed",
    isProblem: true,
    summary,
    evidence: [`the engine said: ${quoteLine(startError)}`],
    nextSteps: [nextStep],
  };
};

const ENDED = new Set(["exited", "dead", "restarting"]);

const outOfMemory: Rule = (facts) => {
  if (!facts.isOomKilled || !ENDED.has(facts.status)) return undefined;
  const limit = facts.memoryLimitBytes;
  return {
    kind: "out-of-memory",
    isProblem: true,
    summary:
      limit > 0
        ? `"${facts.name}" was killed: it needed more than its ${bytesSize(limit)} of memory`
        : `"${facts.name}" was killed: the machine ran out of memory`,
    evidence: ["the kernel's out-of-memory killer ended it", ...commonEvidence(facts)],
    nextSteps: [
      limit > 0
        ? `naru update -m ${bytesSize(limit * 2)
            .replace("iB", "")
            .toLowerCase()} --memory-swap -1 ${facts.name} && naru start ${facts.name}`
        : "give the machine more memory, or limit each container's (-m)",
    ],
  };
};

const notStartedProgram: Rule = (facts) =>
  ENDED.has(facts.status) && facts.startError !== "" ? startFailed(facts) : undefined;

const endedWell: Rule = (facts) => {
  if (facts.status !== "exited" || facts.exitCode !== 0) return undefined;
  const [program = "", ...rest] = facts.command;
  if (SHELLS.test(program) && rest.length === 0 && !facts.hasOpenStdin) {
    return {
      kind: "shell-without-input",
      isProblem: true,
      summary: `"${facts.name}" ended at once: its command is a shell, and a shell without input has nothing to do`,
      evidence: [...commonEvidence(facts), "started without -i"],
      nextSteps: ["naru run -it … for a shell to type in, or name a command that keeps running"],
    };
  }
  return {
    kind: "finished",
    isProblem: false,
    summary: `"${facts.name}" finished its work: the program ended by itself with success`,
    evidence: [...commonEvidence(facts), ...lastLines(facts)],
    nextSteps: [
      `naru start ${facts.name} runs it again; a service must stay in the foreground to keep running`,
    ],
  };
};

const bySignal: Rule = (facts) => {
  const number = facts.exitCode - 128;
  const signal = SIGNALS[number];
  if (!ENDED.has(facts.status) || signal === undefined) return undefined;
  const [name, meaning] = signal;
  const steps: Readonly<Record<number, string>> = {
    9: `look who killed it: 'naru events --since 1h --filter container=${facts.name}'; 'stop' kills what ignores SIGTERM (--stop-signal, --init), and 'dmesg' tells of the machine running out of memory`,
    15: `nothing is wrong when somebody stopped it; 'naru events --since 1h --filter container=${facts.name}' shows when`,
    4: "use an image built for this CPU",
  };
  return {
    kind: "signal",
    isProblem: number !== 15 && number !== 2,
    summary: `"${facts.name}" ended by ${name}: ${meaning}`,
    evidence: [...commonEvidence(facts), ...lastLines(facts)],
    nextSteps: [steps[number] ?? `naru logs --tail 50 ${facts.name}`],
  };
};

const ownCodes: Rule = (facts) => {
  if (!ENDED.has(facts.status) || (facts.exitCode !== 126 && facts.exitCode !== 127))
    return undefined;
  const isMissing = facts.exitCode === 127;
  return {
    kind: isMissing ? "program-missing" : "program-denied",
    isProblem: true,
    summary: isMissing
      ? `"${facts.name}" failed: a command it runs does not exist in the image`
      : `"${facts.name}" failed: a command it runs may not be executed`,
    evidence: [...commonEvidence(facts), ...lastLines(facts)],
    nextSteps: [
      isMissing
        ? "check the command's spelling and that the image contains it"
        : "set the execute bit (chmod +x), and check that scripts start with #!",
    ],
  };
};

const failed: Rule = (facts) => {
  if (!ENDED.has(facts.status)) return undefined;
  const clue = findClue(facts.logLines);
  return {
    kind: "failed",
    isProblem: facts.exitCode !== 0,
    summary:
      clue === undefined
        ? `"${facts.name}" failed: its program ended with exit code ${String(facts.exitCode)}`
        : `"${facts.name}" failed: ${clue.meaning}`,
    evidence: [
      ...commonEvidence(facts),
      ...(clue === undefined ? lastLines(facts) : [`log: ${quoteLine(clue.line)}`]),
    ],
    nextSteps: [clue?.nextStep ?? `naru logs --tail 50 ${facts.name}`],
  };
};

const paused: Rule = (facts) =>
  facts.status === "paused"
    ? {
        kind: "paused",
        isProblem: true,
        summary: `"${facts.name}" is paused: its processes are frozen and answer nothing`,
        evidence: ['status "paused"'],
        nextSteps: [`naru unpause ${facts.name}`],
      }
    : undefined;

const unhealthy: Rule = (facts) => {
  const { health } = facts;
  if (health.status !== "unhealthy") return undefined;
  const clue = findClue([health.lastOutput, ...facts.logLines]);
  return {
    kind: "unhealthy",
    isProblem: true,
    summary: `"${facts.name}" runs, but its health check failed ${String(health.failingStreak)} times in a row`,
    evidence: [
      `the last check ended with code ${String(health.lastExitCode ?? "unknown")}`,
      ...(health.lastOutput.trim() === "" ? [] : [`it said: ${quoteLine(health.lastOutput)}`]),
      ...lastLines(facts),
    ],
    nextSteps: [
      clue?.nextStep ??
        `run the check by hand: naru exec ${facts.name} …; then: naru logs --tail 50 ${facts.name}`,
    ],
  };
};

const unreachable: Rule = (facts) => {
  const port = facts.ports.find(
    ({ isAccepted, listens }) =>
      isAccepted === false || listens === "nowhere" || listens === "loopback",
  );
  if (facts.status !== "running" || port === undefined) return undefined;
  const inside = `${String(port.containerPort)}/${port.protocol}`;
  const outside = `${port.hostIp}:${String(port.hostPort)}`;
  if (port.listens === "loopback") {
    return {
      kind: "loopback-only",
      isProblem: true,
      summary: `"${facts.name}" cannot be reached on ${outside}: its program listens on 127.0.0.1 only`,
      evidence: [
        `port ${inside} is published on ${outside}`,
        "inside, the port is open on loopback only",
      ],
      nextSteps: ["let the program listen on 0.0.0.0 instead of 127.0.0.1"],
    };
  }
  if (port.listens === "nowhere") {
    return {
      kind: "not-listening",
      isProblem: true,
      summary: `"${facts.name}" cannot be reached on ${outside}: nothing inside listens on port ${inside}`,
      evidence: [`port ${inside} is published on ${outside}`, ...lastLines(facts)],
      nextSteps: ["publish the port the program really listens on, or wait until it is ready"],
    };
  }
  return {
    kind: "unreachable",
    isProblem: true,
    summary: `"${facts.name}" cannot be reached on ${outside}: the connection is refused`,
    evidence: [`port ${inside} is published on ${outside}`, `listening inside: ${port.listens}`],
    nextSteps: ["check this machine's firewall rules, then: naru doctor"],
  };
};

const running: Rule = (facts) => {
  if (facts.status !== "running") return undefined;
  const isStarting = facts.health.status === "starting";
  const ports = facts.ports.map(
    (port) =>
      `${port.hostIp}:${String(port.hostPort)} → ${String(port.containerPort)}/${port.protocol}` +
      (port.isAccepted === true ? " accepts connections" : ""),
  );
  return {
    kind: isStarting ? "starting" : "running",
    isProblem: false,
    summary: isStarting
      ? `"${facts.name}" runs; its health check has not succeeded yet`
      : `"${facts.name}" runs, and nothing seems wrong with it`,
    evidence: [
      ...(facts.health.status === "none"
        ? ["it has no health check"]
        : [`health: ${facts.health.status}`]),
      ...(facts.restartCount > 0 ? [`restarted ${String(facts.restartCount)} times`] : []),
      ...ports,
    ],
    nextSteps: facts.restartCount > 0 ? [`naru logs --tail 50 ${facts.name}`] : [],
  };
};

const RULES: readonly Rule[] = [
  neverStarted,
  outOfMemory,
  notStartedProgram,
  endedWell,
  bySignal,
  ownCodes,
  failed,
  paused,
  unhealthy,
  unreachable,
  running,
];

/** The first rule that fits; what is restarted again and again says so. */
export const decide = (facts: WhyFacts): Verdict => {
  for (const rule of RULES) {
    const verdict = rule(facts);
    if (verdict === undefined) continue;
    if (facts.status !== "restarting") return verdict;
    return {
      ...verdict,
      kind: `restarting-${verdict.kind}`,
      isProblem: true,
      summary: `${verdict.summary}; it is started again and again (${String(facts.restartCount)} times so far)`,
    };
  }
  return {
    kind: "unknown",
    isProblem: true,
    summary: `"${facts.name}" is in state "${facts.status}", which says nothing more`,
    evidence: [],
    nextSteps: [`naru inspect ${facts.name}`],
  };
};
