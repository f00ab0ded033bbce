/** Who a process runs as: `--user`, `--group-add`, resolved against the image's passwd and group. */
import { NaruError } from "#lib/errors.ts";

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly home: string;
}

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}
interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

const rows = (text: string): string[][] =>
  text
    .split("\n")
    .flatMap((line) => (line === "" || line.startsWith("#") ? [] : [line.split(":")]));

/** passwd(5). Broken lines are passed over, as libc does. */
const parsePasswd = (text: string): PasswdEntry[] =>
  rows(text).flatMap(([name = "", , uid = "", gid = "", , home = ""]) =>
    /^\d+$/.test(uid) && /^\d+$/.test(gid)
      ? [{ name, uid: Number(uid), gid: Number(gid), home }]
      : [],
  );

/** group(5). */
const parseGroup = (text: string): GroupEntry[] =>
  rows(text).flatMap(([name = "", , gid = "", members = ""]) =>
    /^\d+$/.test(gid)
      ? [{ name, gid: Number(gid), members: members.split(",").filter((member) => member !== "") }]
      : [],
  );

const ID_MAX = 2 ** 31 - 1;

const numericId = (text: string): number | undefined => {
  if (!/^-?\d+$/.test(text)) return undefined;
  const id = Number(text);
  if (id < 0 || id > ID_MAX) {
    throw new NaruError("invalid_argument", `uids and gids must be in range 0-${ID_MAX}`);
  }
  return id;
};

const findGroup = (groups: readonly GroupEntry[], text: string): number => {
  const byName = groups.find((group) => group.name === text);
  if (byName !== undefined) return byName.gid;
  const id = numericId(text);
  if (id === undefined) {
    throw new NaruError(
      "invalid_argument",
      `unable to find group ${text}: no matching entries in group file`,
    );
  }
  return id;
};

/** `spec`: "", "name", "uid", "name:group", "uid:gid" … The files are "" where the image has none. */
export const resolveUser = (
  spec: string,
  groupAdd: readonly string[],
  passwdText: string,
  groupText: string,
): ResolvedUser => {
  const passwd = parsePasswd(passwdText);
  const groups = parseGroup(groupText);
  const at = spec.indexOf(":");
  const userText = at < 0 ? spec : spec.slice(0, at);
  const groupSpec = at < 0 ? "" : spec.slice(at + 1);

  let entry: PasswdEntry | undefined;
  let uid = 0;
  if (userText === "") {
    entry = passwd.find((candidate) => candidate.uid === 0);
  } else {
    entry = passwd.find((candidate) => candidate.name === userText);
    if (entry === undefined) {
      const id = numericId(userText);
      if (id === undefined) {
        throw new NaruError(
          "invalid_argument",
          `unable to find user ${userText}: no matching entries in passwd file`,
        );
      }
      uid = id;
      entry = passwd.find((candidate) => candidate.uid === id);
    }
  }
  uid = entry?.uid ?? uid;
  let gid = entry?.gid ?? 0;
  const gids = new Set<number>();
  if (groupSpec === "") {
    // Without an explicit group the user's own memberships count (runc's GetExecUser rule).
    const name = entry?.name;
    for (const group of groups)
      if (name !== undefined && group.members.includes(name)) gids.add(group.gid);
  } else {
    gid = findGroup(groups, groupSpec);
  }
  for (const text of groupAdd) gids.add(findGroup(groups, text));
  // Its own group among them: else a process could drop it and pass a "no" meant for that group (CVE-2022-36109).
  return { uid, gid, additionalGids: [...new Set([gid, ...gids])], home: entry?.home || "/" };
};
