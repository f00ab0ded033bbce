/**
 * The Dockerfile language (the reference of Dockerfile frontend 1.26) as data.
 *
 *     text ──parseDockerfile──► Dockerfile ──planDockerfile──► Plan: resolved steps, stage graph
 *                                   │
 *                                   └──checkDockerfile──► Warning[] (the named build checks)
 *
 *     parse.ts         parseDockerfile(text): Dockerfile
 *     expand.ts        expandWord, expandWords: $name, ${name:-word}, quotes and escapes
 *     mount.ts         parseMount: one `RUN --mount=…` with its variables expanded
 *     dockerignore.ts  parseDockerignore(text), ignoreMatcher(patterns).isIgnored(path)
 *     check.ts         checkDockerfile(dockerfile, …): Warning[]
 *     plan.ts          planDockerfile(dockerfile, …): Plan
 *
 * Everything here is pure and synchronous. A tree keeps what was written: words are not expanded
 * (quotes, escapes and `$` stand in them), because what a variable is worth is known only where the
 * instruction runs. Which words expand is said at each instruction; all others are literal.
 *
 * Places count from 1: lines as editors do, columns in UTF-16 units. An instruction continued over
 * several lines is one text; a word's range still points at the lines it stands on.
 *
 * What is wrong in a Dockerfile is thrown as DockerfileError (error.ts): code invalid_argument, the
 * line, the column, and a code frame to print below the message.
 */
import type { HealthConfig } from "#spec/docker/container-config.ts";

export interface Position {
  readonly line: number;
  readonly column: number;
}

/** `end` is the place behind the last character. */
export interface SourceRange {
  readonly start: Position;
  readonly end: Position;
}

/** A piece of the text as written, quotes and variables still in it. */
export interface Word {
  readonly text: string;
  readonly range: SourceRange;
}

export interface Dockerfile {
  readonly text: string;
  readonly directives: Directives;
  /** ARGs before the first FROM: seen by FROM lines, and by stages that repeat the name. */
  readonly metaArgs: readonly ArgInstruction[];
  readonly stages: readonly Stage[];
  /** Lines at which an instruction continued over a blank line ends (check NoEmptyContinuation). */
  readonly emptyContinuationLines: readonly number[];
}

/** `# name=value` lines at the top. */
export interface Directives {
  readonly syntax?: Word;
  readonly check?: Word;
  readonly escape: Escape;
}

export type Escape = "\\" | "`";

export interface Stage {
  readonly index: number;
  /** Lower case; undefined without AS. */
  readonly name: string | undefined;
  readonly from: FromInstruction;
  readonly instructions: readonly StageInstruction[];
}

export interface Flag {
  /** Without the dashes. */
  readonly name: string;
  /** undefined: no `=` was written. */
  readonly value: string | undefined;
  readonly range: SourceRange;
}

/** `<<EOF` and the lines up to its end. */
export interface Heredoc {
  readonly name: string;
  /** Written as `3<<EOF`; 0 when absent. */
  readonly fileDescriptor: number;
  /** False when a part of the name was quoted: variables stay as they are. */
  readonly isExpanded: boolean;
  /** `<<-`: tabs at the start of lines do not count. They are still in `content`. */
  readonly isChomped: boolean;
  readonly content: string;
  readonly range: SourceRange;
}

interface Common {
  /** As written: "RUN", "run". */
  readonly keyword: Word;
  /** From the keyword to the end of the last line, here-documents included. */
  readonly range: SourceRange;
  /** The instruction on one line, continuations joined, without here-documents: history shows it. */
  readonly source: string;
  readonly flags: readonly Flag[];
  readonly heredocs: readonly Heredoc[];
  /** Comment lines directly above, without `#`. */
  readonly comments: readonly string[];
}

/** `["a", "b"]` is a program and its arguments; anything else a line for the shell. Neither expands. */
export type CommandLine =
  | { readonly form: "exec"; readonly args: readonly string[] }
  | { readonly form: "shell"; readonly line: string };

export interface FromInstruction extends Common {
  readonly name: "FROM";
  /** An image, a stage or "scratch". Expands with global ARGs only. */
  readonly base: Word;
  /** The name behind AS as written. */
  readonly as: Word | undefined;
  /** The word "AS" as written. */
  readonly asKeyword: Word | undefined;
  /** Expands with global ARGs only. */
  readonly platform: Word | undefined;
}

export interface ArgDefinition {
  readonly key: Word;
  /** Expands. */
  readonly value: Word | undefined;
}

export interface ArgInstruction extends Common {
  readonly name: "ARG";
  readonly args: readonly ArgDefinition[];
}

/** Key and value expand. */
export interface KeyValue {
  readonly key: Word;
  readonly value: Word;
}

export interface EnvInstruction extends Common {
  readonly name: "ENV";
  readonly pairs: readonly KeyValue[];
  /** `ENV key value`, without `=`. */
  readonly isLegacy: boolean;
}

export interface LabelInstruction extends Common {
  readonly name: "LABEL";
  readonly pairs: readonly KeyValue[];
  readonly isLegacy: boolean;
}

export interface MaintainerInstruction extends Common {
  readonly name: "MAINTAINER";
  readonly maintainer: Word;
}

/** A file whose content is a here-document. */
export interface InlineFile {
  /** The here-document's name: the file's name when the destination is a directory. */
  readonly path: string;
  /** Leading tabs of `<<-` already taken away. Variables expand (quotes stay) when isExpanded. */
  readonly content: string;
  readonly isExpanded: boolean;
}

interface Transfer extends Common {
  /** Paths, patterns, for ADD also URLs and git repositories. Expand. */
  readonly sources: readonly Word[];
  readonly inlineFiles: readonly InlineFile[];
  /** Expands. */
  readonly destination: Word;
  /** Expands. "user:group". */
  readonly chown: Word | undefined;
  /** Expands. Octal or symbolic. */
  readonly chmod: Word | undefined;
  readonly isLink: boolean;
  /** Patterns; they do not expand. */
  readonly excludes: readonly Word[];
}

export interface CopyInstruction extends Transfer {
  readonly name: "COPY";
  /** A stage's name or number, a named context or an image. Does not expand. */
  readonly from: Word | undefined;
  readonly isParents: boolean;
}

export interface AddInstruction extends Transfer {
  readonly name: "ADD";
  /** undefined: BUILDKIT_CONTEXT_KEEP_GIT_DIR or a `keep-git-dir` query decides. */
  readonly keepGitDir: boolean | undefined;
  /** Expands. A digest, or a commit's hash for git. */
  readonly checksum: Word | undefined;
  /** undefined: local archives are unpacked, those from URLs are not. */
  readonly unpack: boolean | undefined;
}

export type RunNetwork = "default" | "none" | "host";
export type RunSecurity = "sandbox" | "insecure";

export interface RunDevice {
  readonly name: string;
  readonly isRequired: boolean;
}

/** The command does not expand: its shell does that, with ARGs and ENVs in its environment. */
export interface RunInstruction extends Common {
  readonly name: "RUN";
  readonly command: CommandLine;
  /** The values of `--mount`, checked as far as that goes without variables: parseMount reads them. */
  readonly mounts: readonly Word[];
  readonly network: RunNetwork;
  readonly security: RunSecurity;
  readonly devices: readonly RunDevice[];
}

export interface CmdInstruction extends Common {
  readonly name: "CMD";
  readonly command: CommandLine;
}

export interface EntrypointInstruction extends Common {
  readonly name: "ENTRYPOINT";
  readonly command: CommandLine;
}

export interface ShellInstruction extends Common {
  readonly name: "SHELL";
  readonly shell: readonly string[];
}

export interface HealthcheckInstruction extends Common {
  readonly name: "HEALTHCHECK";
  /** Ready for an image's config; ["NONE"] switches off what the base has. */
  readonly health: HealthConfig;
}

export interface ExposeInstruction extends Common {
  readonly name: "EXPOSE";
  /** "80", "80/tcp", "8000-8010/udp". Expand, and one word may become several. */
  readonly ports: readonly Word[];
}

export interface VolumeInstruction extends Common {
  readonly name: "VOLUME";
  /** Expand. */
  readonly paths: readonly Word[];
}

export interface UserInstruction extends Common {
  readonly name: "USER";
  /** Expands. */
  readonly user: Word;
}

export interface WorkdirInstruction extends Common {
  readonly name: "WORKDIR";
  /** Expands. */
  readonly path: Word;
}

export interface StopsignalInstruction extends Common {
  readonly name: "STOPSIGNAL";
  /** Expands. */
  readonly signal: Word;
}

export interface OnbuildInstruction extends Common {
  readonly name: "ONBUILD";
  /** What goes into the image's config; here-documents follow on lines of their own. */
  readonly expression: string;
  readonly trigger: StageInstruction;
}

/** All that can stand in a stage. */
export type StageInstruction =
  | AddInstruction
  | ArgInstruction
  | CmdInstruction
  | CopyInstruction
  | EntrypointInstruction
  | EnvInstruction
  | ExposeInstruction
  | HealthcheckInstruction
  | LabelInstruction
  | MaintainerInstruction
  | OnbuildInstruction
  | RunInstruction
  | ShellInstruction
  | StopsignalInstruction
  | UserInstruction
  | VolumeInstruction
  | WorkdirInstruction;

export type Instruction = FromInstruction | StageInstruction;
export type InstructionName = Instruction["name"];

export type MountType = "bind" | "cache" | "tmpfs" | "secret" | "ssh";
export type CacheSharing = "shared" | "private" | "locked";

/** One `RUN --mount`, expanded and checked. What was not written is undefined. */
export interface Mount {
  readonly type: MountType;
  /** A stage, a named context or an image; bind and cache. Empty: the context, or an empty directory. */
  readonly from: string;
  readonly source: string;
  readonly target: string;
  readonly isReadonly: boolean;
  /** tmpfs. */
  readonly sizeLimitBytes: number | undefined;
  readonly id: string;
  readonly sharing: CacheSharing | undefined;
  readonly isRequired: boolean;
  /** secret: the variable that holds it; "" = named after its id. */
  readonly env: string | undefined;
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}
