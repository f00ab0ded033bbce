/** What is known about a container, as the verdict needs it: plain data, no more API shapes. */

export interface PortFact {
  readonly containerPort: number;
  readonly protocol: string;
  readonly hostIp: string;
  readonly hostPort: number;
  /** A connection from this machine was accepted; undefined when it was not tried. */
  readonly isAccepted: boolean | undefined;
  /** What the processes inside listen on. */
  readonly listens: "everywhere" | "loopback" | "nowhere" | "unknown";
}

export interface HealthFact {
  readonly status: "none" | "starting" | "healthy" | "unhealthy";
  readonly failingStreak: number;
  readonly lastExitCode: number | undefined;
  readonly lastOutput: string;
}

export interface WhyFacts {
  readonly name: string;
  readonly status: string;
  readonly exitCode: number;
  readonly isOomKilled: boolean;
  /** What the engine said when it could not start the process. */
  readonly startError: string;
  readonly command: readonly string[];
  readonly isTty: boolean;
  readonly hasOpenStdin: boolean;
  readonly restartCount: number;
  readonly restartPolicy: string;
  readonly memoryLimitBytes: number;
  /** How long the last run took, undefined when it never ran. */
  readonly ranSeconds: number | undefined;
  readonly health: HealthFact;
  /** The end of the log, oldest first. */
  readonly logLines: readonly string[];
  readonly ports: readonly PortFact[];
}

export interface Verdict {
  /** One word for programs: "exited", "out-of-memory", "unhealthy" … */
  readonly kind: string;
  readonly isProblem: boolean;
  readonly summary: string;
  readonly evidence: readonly string[];
  readonly nextSteps: readonly string[];
}
