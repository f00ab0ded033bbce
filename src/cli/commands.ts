/**
 * The command tree: names, summaries and where each command's file is. Only the table is loaded at
 * the start; a command's file is loaded when it is called.
 */
import { type Entry, entry, group } from "#cli/framework/entry.ts";

const container: readonly Entry[] = [
  entry(
    "attach",
    "Attach to the input and output of a running container",
    () => import("#cli/container/attach.ts"),
  ),
  entry(
    "commit",
    "Make an image from a container's changes",
    () => import("#cli/container/commit.ts"),
  ),
  entry(
    "cp",
    "Copy files between a container and this machine",
    () => import("#cli/container/cp.ts"),
  ),
  entry(
    "create",
    "Create a container without starting it",
    () => import("#cli/container/create.ts"),
  ),
  entry(
    "diff",
    "Show what changed in a container's file system",
    () => import("#cli/container/diff.ts"),
  ),
  entry("exec", "Run a command in a running container", () => import("#cli/container/exec.ts")),
  entry(
    "export",
    "Write a container's file system as a tar archive",
    () => import("#cli/container/export.ts"),
  ),
  entry(
    "inspect",
    "Show everything about one or more containers",
    () => import("#cli/container/inspect.ts"),
  ),
  entry("kill", "Send a signal to one or more containers", () => import("#cli/container/kill.ts")),
  entry("logs", "Show the logs of a container", () => import("#cli/container/logs.ts")),
  entry("ls", "List containers", () => import("#cli/container/ls.ts"), { aliases: ["list", "ps"] }),
  entry(
    "pause",
    "Pause all processes of one or more containers",
    () => import("#cli/container/pause.ts"),
  ),
  entry("port", "Show a container's published ports", () => import("#cli/container/port.ts")),
  entry("prune", "Remove all stopped containers", () => import("#cli/container/prune.ts")),
  entry("rename", "Rename a container", () => import("#cli/container/rename.ts")),
  entry("restart", "Restart one or more containers", () => import("#cli/container/restart.ts")),
  entry("rm", "Remove one or more containers", () => import("#cli/container/rm.ts"), {
    aliases: ["remove"],
  }),
  entry(
    "run",
    "Create a container from an image and run it",
    () => import("#cli/container/run.ts"),
  ),
  entry("start", "Start one or more stopped containers", () => import("#cli/container/start.ts")),
  entry(
    "stats",
    "Show the resource use of containers as it changes",
    () => import("#cli/container/stats.ts"),
  ),
  entry("stop", "Stop one or more running containers", () => import("#cli/container/stop.ts")),
  entry("top", "Show the processes of a container", () => import("#cli/container/top.ts")),
  entry(
    "unpause",
    "Let all processes of one or more containers go on",
    () => import("#cli/container/unpause.ts"),
  ),
  entry(
    "update",
    "Change the limits of one or more containers",
    () => import("#cli/container/update.ts"),
  ),
  entry(
    "wait",
    "Wait until containers stop, then print their exit codes",
    () => import("#cli/container/wait.ts"),
  ),
];

const image: readonly Entry[] = [
  entry("build", "Build an image from a Dockerfile", () => import("#cli/build/build.ts")),
  entry(
    "bootstrap",
    "Make a base image from a distribution's packages",
    () => import("#cli/image/bootstrap.ts"),
  ),
  entry(
    "explain",
    "Show what each instruction adds, and what does not belong in an image",
    () => import("#cli/image/explain.ts"),
  ),
  entry(
    "diff",
    "Show the files that differ between two images, or that each layer of one changes",
    () => import("#cli/image/diff.ts"),
  ),
  entry("history", "Show how an image came to be", () => import("#cli/image/history.ts")),
  entry(
    "import",
    "Make an image from a tar archive of a file system",
    () => import("#cli/image/import.ts"),
  ),
  entry(
    "inspect",
    "Show everything about one or more images",
    () => import("#cli/image/inspect.ts"),
  ),
  entry(
    "load",
    "Load images from a tar archive or standard input",
    () => import("#cli/image/load.ts"),
  ),
  entry("ls", "List images", () => import("#cli/image/ls.ts"), { aliases: ["list"] }),
  entry("prune", "Remove unused images", () => import("#cli/image/prune.ts")),
  entry("pull", "Download an image from a registry", () => import("#cli/image/pull.ts")),
  entry("push", "Upload an image to a registry", () => import("#cli/image/push.ts")),
  entry("rm", "Remove one or more images", () => import("#cli/image/rm.ts"), {
    aliases: ["remove"],
  }),
  entry(
    "save",
    "Write images to a tar archive or standard output",
    () => import("#cli/image/save.ts"),
  ),
  entry("tag", "Give an image another name", () => import("#cli/image/tag.ts")),
  entry("tree", "Show which images share layers", () => import("#cli/image/tree.ts")),
];

const manifest: readonly Entry[] = [
  entry(
    "annotate",
    "Say for which platform an image of a list is",
    () => import("#cli/manifest/annotate.ts"),
  ),
  entry(
    "create",
    "Begin a list of images for several platforms",
    () => import("#cli/manifest/create.ts"),
  ),
  entry(
    "inspect",
    "Show a list, or what a registry has under a name",
    () => import("#cli/manifest/inspect.ts"),
  ),
  entry("push", "Push a list to its registry", () => import("#cli/manifest/push.ts")),
  entry("rm", "Forget lists that were made here", () => import("#cli/manifest/rm.ts")),
];

const trust: readonly Entry[] = [
  entry(
    "check",
    "Say whether an image may be pulled and run, and by which rule",
    () => import("#cli/trust/check.ts"),
  ),
  entry("show", "Show the policy and its keys", () => import("#cli/trust/show.ts")),
];

const volume: readonly Entry[] = [
  entry(
    "backup",
    "Write a volume with all that is known of it to a file",
    () => import("#cli/volume/backup.ts"),
  ),
  entry(
    "clone",
    "Make a new volume that is a copy of another",
    () => import("#cli/volume/clone.ts"),
  ),
  entry("create", "Create a volume", () => import("#cli/volume/create.ts")),
  entry("export", "Write a volume's files as a tar archive", () => import("#cli/volume/export.ts")),
  entry("import", "Unpack a tar archive into a volume", () => import("#cli/volume/import.ts")),
  entry(
    "inspect",
    "Show everything about one or more volumes",
    () => import("#cli/volume/inspect.ts"),
  ),
  entry("ls", "List volumes", () => import("#cli/volume/ls.ts"), { aliases: ["list"] }),
  entry("prune", "Remove unused volumes", () => import("#cli/volume/prune.ts")),
  entry("rename", "Give a volume another name", () => import("#cli/volume/rename.ts")),
  entry("restore", "Make a new volume of a backup", () => import("#cli/volume/restore.ts")),
  entry("rm", "Remove one or more volumes", () => import("#cli/volume/rm.ts"), {
    aliases: ["remove"],
  }),
];

const network: readonly Entry[] = [
  entry("connect", "Connect a container to a network", () => import("#cli/network/connect.ts")),
  entry("create", "Create a network", () => import("#cli/network/create.ts")),
  entry(
    "disconnect",
    "Disconnect a container from a network",
    () => import("#cli/network/disconnect.ts"),
  ),
  entry(
    "inspect",
    "Show everything about one or more networks",
    () => import("#cli/network/inspect.ts"),
  ),
  entry("ls", "List networks", () => import("#cli/network/ls.ts"), { aliases: ["list"] }),
  entry("prune", "Remove all unused networks", () => import("#cli/network/prune.ts")),
  entry("rm", "Remove one or more networks", () => import("#cli/network/rm.ts"), {
    aliases: ["remove"],
  }),
];

const system: readonly Entry[] = [
  entry(
    "check",
    "Compare every stored blob and layer with its digest",
    () => import("#cli/system/check.ts"),
  ),
  entry(
    "dial-stdio",
    "Join standard input and output to the engine",
    () => import("#cli/system/dial-stdio.ts"),
    { isHidden: true },
  ),
  entry("df", "Show what uses disk space", () => import("#cli/system/df.ts")),
  entry(
    "events",
    "Show what happens in the engine, as it happens",
    () => import("#cli/system/events.ts"),
  ),
  entry("info", "Show facts about the engine and its host", () => import("#cli/system/info.ts")),
  entry("prune", "Remove unused data", () => import("#cli/system/prune.ts")),
  { name: "reset", summary: "Remove every trace of an engine from this machine", isExternal: true },
];

const context: readonly Entry[] = [
  entry("create", "Name an engine", () => import("#cli/context/create.ts")),
  entry("export", "Write a context to a file", () => import("#cli/context/export.ts")),
  entry("import", "Make a context of such a file", () => import("#cli/context/import.ts")),
  entry(
    "inspect",
    "Show everything about one or more contexts",
    () => import("#cli/context/inspect.ts"),
  ),
  entry("ls", "List the engines that are set up", () => import("#cli/context/ls.ts"), {
    aliases: ["list"],
  }),
  entry("rm", "Remove one or more contexts", () => import("#cli/context/rm.ts"), {
    aliases: ["remove"],
  }),
  entry("show", "Print the name of the current context", () => import("#cli/context/show.ts")),
  entry("update", "Change a context", () => import("#cli/context/update.ts")),
  entry("use", "Set the current context", () => import("#cli/context/use.ts")),
];

/** The same command under a short name. */
const lift = (
  from: readonly Entry[],
  room: string,
  name: string,
  as = name,
  also: readonly string[] = [],
): Entry => {
  const found = from.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`there is no "${room} ${name}" to lift`);
  const { aliases: _aliases, ...rest } = found;
  return { ...rest, name: as, alsoAs: [`${room} ${name}`, ...also] };
};

const COMMON = new Set([
  "build",
  "run",
  "exec",
  "ps",
  "logs",
  "images",
  "pull",
  "push",
  "version",
  "info",
  "stop",
  "rm",
]);

/** Commands of docker that later versions bring: answered by name until then. */
export const PLANNED = ["buildx"] as const;

const builder: readonly Entry[] = [
  entry("build", "Build an image from a Dockerfile", () => import("#cli/build/build.ts")),
  entry("du", "List what the build cache holds", () => import("#cli/builder/du.ts")),
  entry("prune", "Remove build cache", () => import("#cli/builder/prune.ts")),
];

const frontDoor: readonly Entry[] = [
  entry(
    "ca",
    "Print the certificate that browsers must trust",
    () => import("#cli/front-door/ca.ts"),
  ),
  entry("ls", "List names and the containers behind them", () => import("#cli/front-door/ls.ts"), {
    aliases: ["list"],
  }),
];

const topLevel: readonly Entry[] = [
  lift(builder, "builder", "build", "build", ["image build"]),
  ...container
    .filter(({ name }) => name !== "ls" && name !== "prune" && name !== "inspect")
    .map(({ name }) => lift(container, "container", name)),
  lift(container, "container", "ls", "ps"),
  ...["history", "import", "load", "pull", "push", "save", "tag"].map((name) =>
    lift(image, "image", name),
  ),
  lift(image, "image", "ls", "images"),
  lift(image, "image", "rm", "rmi"),
  entry("copy", "Copy an image from one registry to another", () => import("#cli/image/copy.ts")),
  entry("login", "Log in to a registry", () => import("#cli/registry/login.ts")),
  entry("logout", "Log out from a registry", () => import("#cli/registry/logout.ts")),
  entry("search", "Search Docker Hub for images", () => import("#cli/registry/search.ts")),
  group("front-door", "Names that lead to containers by HTTP", frontDoor),
  entry(
    "ports",
    "List published ports and who can reach them",
    () => import("#cli/network/ports.ts"),
  ),
  lift(system, "system", "events"),
  lift(system, "system", "info"),
  entry(
    "init",
    "Write a Dockerfile and a compose file for the project in a folder",
    () => import("#cli/init/init.ts"),
  ),
  entry("inspect", "Show everything about any object", () => import("#cli/system/inspect.ts")),
  entry(
    "version",
    "Show the versions of naru and its engine",
    () => import("#cli/system/version.ts"),
  ),
  entry(
    "why",
    "Say why a container exited, fails or cannot be reached",
    () => import("#cli/why/why.ts"),
  ),
  entry(
    "undo",
    "Bring back what was removed: the last rm or prune, or what is named",
    () => import("#cli/system/undo.ts"),
  ),
  entry("compose", "Run applications of many containers", () => import("#cli/compose/compose.ts"), {
    isCommon: true,
  }),
  entry(
    "completion",
    "Write a completion script for a shell",
    () => import("#cli/completion/completion.ts"),
  ),
  entry("__complete", "", () => import("#cli/completion/complete.ts"), { isHidden: true }),
  group("builder", "Manage builds", builder),
  group("container", "Manage containers", container),
  group("image", "Manage images", image),
  group("manifest", "Manage lists of images for several platforms", manifest),
  group("trust", "See which images may be pulled and run", trust),
  group("volume", "Manage volumes", volume),
  group("network", "Manage networks", network),
  group("system", "Manage the engine", system),
  group("context", "Manage which engine is spoken to", context),
  { name: "daemon", summary: "Run the engine in the foreground", isExternal: true },
  { name: "registry", summary: "Run an image registry", isExternal: true },
  ...PLANNED.map((name) => ({ name, summary: "Not there yet", isExternal: true, isHidden: true })),
  { name: "service", summary: "Install the engine as a service of this machine", isExternal: true },
  { name: "doctor", summary: "Check whether this machine can run containers", isExternal: true },
];

export const commandTree: readonly Entry[] = topLevel
  .map((item) => (COMMON.has(item.name) ? { ...item, isCommon: true } : item))
  .toSorted((a, b) => (a.name < b.name ? -1 : 1));
