/** `RUN --mount` with its defaults filled in. */
import { posix } from "node:path";
import type { Mount } from "#spec/dockerfile/dockerfile.ts";
import { Complaint } from "#spec/dockerfile/error.ts";
import { parseMount } from "#spec/dockerfile/mount.ts";
import type { PlannedMount, Source } from "#spec/dockerfile/plan.ts";
import { type StageDraft, joinPath } from "#spec/dockerfile/stage-state.ts";

const CACHE_MODE = 0o755;
const SECRET_MODE = 0o400;
const SSH_MODE = 0o600;

const targetPath = (draft: StageDraft, mount: Mount): string => {
  const isAbsolute = mount.target.startsWith("/");
  const target = isAbsolute ? mount.target : joinPath(draft.cwd, mount.target);
  if (target === "/") {
    throw new Complaint(`invalid mount target ${JSON.stringify(mount.target)}`);
  }
  return target;
};

const owner = (mount: Mount, mode: number) => ({
  uid: mount.uid ?? 0,
  gid: mount.gid ?? 0,
  mode: mount.mode ?? mode,
});

const secretMount = (mount: Mount): PlannedMount => {
  const given = mount.source === "" ? mount.id : mount.source;
  const id = given === "" ? posix.basename(mount.target) : given;
  const file = mount.target === "" ? undefined : mount.target;
  const target = mount.env === undefined ? (file ?? `/run/secrets/${posix.basename(id)}`) : file;
  const env = mount.env === "" ? id : mount.env;
  const { isRequired } = mount;
  return { type: "secret", id, target, env, isRequired, ...owner(mount, SECRET_MODE) };
};

const sshMount = (mount: Mount): PlannedMount => {
  if (mount.source !== "") throw new Complaint("ssh does not support source");
  return {
    type: "ssh",
    id: mount.id === "" ? "default" : mount.id,
    target: mount.target === "" ? undefined : mount.target,
    isRequired: mount.isRequired,
    ...owner(mount, SSH_MODE),
  };
};

/** `from`: where its files come from as the graph found it. Throws Complaint. */
export const planMount = (
  draft: StageDraft,
  text: string,
  from: Source | undefined,
): PlannedMount => {
  const mount = parseMount(text, (value) => draft.expansion(value).text);
  if (mount.type === "secret") return secretMount(mount);
  if (mount.type === "ssh") return sshMount(mount);
  const target = targetPath(draft, mount);
  const { isReadonly, sizeLimitBytes } = mount;
  if (mount.type === "tmpfs") return { type: "tmpfs", target, sizeLimitBytes, isReadonly };
  const source = joinPath("/", mount.source);
  if (mount.type === "bind") {
    return { type: "bind", from: from ?? { kind: "context" }, source, target, isReadonly };
  }
  return {
    type: "cache",
    id: mount.id === "" ? posix.normalize(mount.target).replace(/(?<=.)\/$/, "") : mount.id,
    sharing: mount.sharing ?? "shared",
    from: from ?? { kind: "scratch" },
    source,
    target,
    isReadonly,
    ...owner(mount, CACHE_MODE),
    hasOwner: mount.uid !== undefined || mount.gid !== undefined || mount.mode !== undefined,
  };
};
