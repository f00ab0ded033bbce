/** Who may do what with which repositories: pure. */
import type { Action, Grant, Identity, Wanted } from "#registry/access/access.ts";
import { compileGlob } from "#registry/rules.ts";

export interface AccessRule {
  /** A glob; for "catalog" and "admin" it does not count. */
  readonly repositories: string;
  /** Names, "@group", "*" for whoever is logged in, "anonymous" for everybody. */
  readonly users: readonly string[];
  readonly actions: readonly Action[];
}

export interface AccessRules {
  readonly allowsAnonymous: boolean;
  /** `wanted.repository` "" with "pull": may it do anything at all? */
  allows(name: string, wanted: Wanted): boolean;
}

const isUser = (
  users: readonly string[],
  groups: Readonly<Record<string, readonly string[]>>,
  name: string,
): boolean =>
  users.some((user) => {
    if (user === "anonymous") return true;
    if (name === "") return false;
    return (
      user === "*" ||
      user === name ||
      (user.startsWith("@") && (groups[user.slice(1)] ?? []).includes(name))
    );
  });

const ALL: readonly Action[] = ["pull", "push", "delete", "catalog", "admin"];

/** What holds where there are users but no rules: whoever is logged in may do everything. */
const LOGGED_IN: readonly AccessRule[] = [{ repositories: "**", users: ["*"], actions: ALL }];

export const createAccessRules = (
  given: readonly AccessRule[],
  groups: Readonly<Record<string, readonly string[]>>,
): AccessRules => {
  const rules = (given.length === 0 ? LOGGED_IN : given).map((rule) => ({
    ...rule,
    glob: compileGlob(rule.repositories),
  }));
  return {
    allowsAnonymous: rules.some((rule) => rule.users.includes("anonymous")),
    allows: (name, { action, repository }) =>
      rules.some(
        (rule) =>
          rule.actions.includes(action) &&
          (repository === "" || rule.glob.test(repository)) &&
          isUser(rule.users, groups, name),
      ),
  };
};

/** The action as token servers spell it: (type, name, action). */
const scopeOf = ({ action, repository }: Wanted): Grant => {
  if (action === "catalog") return { type: "registry", name: "catalog", actions: ["*"] };
  if (action === "admin") return { type: "registry", name: "admin", actions: ["*"] };
  return { type: "repository", name: repository, actions: [action] };
};

/** "repository:a/b:pull,push registry:catalog:*". */
export const scopesOf = (wanted: readonly Wanted[]): string =>
  wanted
    .map(scopeOf)
    .map(({ type, name, actions }) => {
      // Who pushes reads as well: without it clients would have to ask twice.
      const asked = actions[0] === "push" ? ["pull", "push"] : actions;
      return `${type}:${name}:${asked.join(",")}`;
    })
    .join(" ");

export const isGranted = (identity: Identity, wanted: Wanted): boolean => {
  const asked = scopeOf(wanted);
  // Whatever a token is good for, it shows who it belongs to.
  if (wanted.repository === "" && wanted.action === "pull") return true;
  return (identity.granted ?? []).some(
    ({ type, name, actions }) =>
      type.replace(/\(.*\)$/, "") === asked.type &&
      name === asked.name &&
      asked.actions.every((action) => actions.includes(action) || actions.includes("*")),
  );
};

/** "repository:a/b:pull,push": a name may itself have colons (a port). undefined: malformed. */
export const parseScope = (text: string): Grant | undefined => {
  const first = text.indexOf(":");
  const last = text.lastIndexOf(":");
  if (first < 1 || last <= first) return undefined;
  return {
    type: text.slice(0, first),
    name: text.slice(first + 1, last),
    actions: text
      .slice(last + 1)
      .split(",")
      .filter((action) => action !== ""),
  };
};

const ACTIONS: readonly Action[] = ["pull", "push", "delete"];

/** What of `asked` the rules give to `name`; without actions when that is nothing. */
export const grantOf = (rules: AccessRules, name: string, asked: Grant): Grant => {
  const may = (action: Action): boolean => rules.allows(name, { action, repository: asked.name });
  if (asked.type === "registry") {
    const action =
      asked.name === "catalog" ? "catalog" : asked.name === "admin" ? "admin" : undefined;
    const isAllowed = action !== undefined && rules.allows(name, { action, repository: "" });
    return { ...asked, actions: isAllowed ? asked.actions : [] };
  }
  if (asked.type.replace(/\(.*\)$/, "") !== "repository") return { ...asked, actions: [] };
  const wanted = asked.actions.includes("*") ? ACTIONS : asked.actions;
  const actions = ACTIONS.filter((action) => wanted.includes(action) && may(action));
  return { ...asked, actions };
};
