/** The commands behind `naru compose`; each file is loaded when it is called. */
import type { Entry } from "#cli/commands.ts";

const entry = (
  name: string,
  summary: string,
  load: NonNullable<Entry["load"]>,
  extra: Partial<Entry> = {},
): Entry => ({ name, summary, load, ...extra });

export const composeCommands: readonly Entry[] = [
  entry(
    "attach",
    "Attach to a service's running container",
    () => import("#cli/compose/attach.ts"),
  ),
  entry("build", "Build images", () => import("#cli/compose/build.ts")),
  entry(
    "clone",
    "Bring up a copy of the project, volumes and all",
    () => import("#cli/compose/clone.ts"),
  ),
  entry("commit", "Make an image of a container", () => import("#cli/compose/commit.ts")),
  entry(
    "config",
    "Print the project as it was understood",
    () => import("#cli/compose/config.ts"),
    { aliases: ["convert"] },
  ),
  entry(
    "cp",
    "Copy files between a service's container and this machine",
    () => import("#cli/compose/cp.ts"),
  ),
  entry(
    "create",
    "Create containers without starting them",
    () => import("#cli/compose/create.ts"),
  ),
  entry("down", "Stop and remove containers and networks", () => import("#cli/compose/down.ts")),
  entry(
    "events",
    "Show what happens to the project's containers",
    () => import("#cli/compose/events.ts"),
  ),
  entry("exec", "Run a command in a service's container", () => import("#cli/compose/exec.ts")),
  entry("export", "Write a container's files as a tar", () => import("#cli/compose/export.ts")),
  entry(
    "images",
    "List the images that the containers use",
    () => import("#cli/compose/images.ts"),
  ),
  entry("kill", "Send a signal to containers", () => import("#cli/compose/kill.ts")),
  entry("logs", "Show the output of containers", () => import("#cli/compose/logs.ts")),
  entry("ls", "List projects", () => import("#cli/compose/ls.ts")),
  entry("pause", "Pause containers", () => import("#cli/compose/pause.ts")),
  entry("plan", "Print what 'up' would do, and why", () => import("#cli/compose/plan.ts")),
  entry("port", "Print where a port is published", () => import("#cli/compose/port.ts")),
  entry("ps", "List containers", () => import("#cli/compose/ps.ts")),
  entry("publish", "Not there", () => import("#cli/compose/publish.ts"), { isHidden: true }),
  entry("pull", "Pull images", () => import("#cli/compose/pull.ts")),
  entry("push", "Push images", () => import("#cli/compose/push.ts")),
  entry("restart", "Restart containers", () => import("#cli/compose/restart.ts")),
  entry("rm", "Remove stopped containers", () => import("#cli/compose/rm.ts")),
  entry("run", "Run a command once in a new container", () => import("#cli/compose/run.ts")),
  entry("scale", "Change how many containers services have", () => import("#cli/compose/scale.ts")),
  entry("start", "Start stopped containers", () => import("#cli/compose/start.ts")),
  entry(
    "stats",
    "Show the resource use of containers as it changes",
    () => import("#cli/compose/stats.ts"),
  ),
  entry("stop", "Stop containers", () => import("#cli/compose/stop.ts")),
  entry("top", "Show the processes of containers", () => import("#cli/compose/top.ts")),
  entry("unpause", "Let paused containers go on", () => import("#cli/compose/unpause.ts")),
  entry("up", "Create and start containers", () => import("#cli/compose/up.ts")),
  entry("version", "Print the version", () => import("#cli/compose/version.ts")),
  entry("volumes", "List volumes", () => import("#cli/compose/volumes.ts")),
  entry("wait", "Wait until containers stop", () => import("#cli/compose/wait.ts")),
  entry(
    "watch",
    "Keep containers up to date with their sources",
    () => import("#cli/compose/watch.ts"),
  ),
];
