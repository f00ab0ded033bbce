/** What the front door says itself: why there is no answer, and what to do. Pure. */
import { reasonOf } from "#api/http/status-text.ts";
import { DOOR_DOMAIN, type DoorRoute, type DoorTarget } from "#door/door.ts";

export interface Page {
  readonly status: number;
  readonly title: string;
  readonly text: string;
  /** What to do, one a line. */
  readonly remedies: readonly string[];
  /** Names to follow instead. */
  readonly links?: readonly string[];
  readonly retryAfterSeconds?: number;
}

const MAX_LINKS = 100;

const escaped = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

export const noSuchHost = (host: string, routes: readonly DoorRoute[]): Page => {
  const isOurs = host === DOOR_DOMAIN || host.endsWith(`.${DOOR_DOMAIN}`);
  const hosts = [...new Set(routes.map((route) => route.host))];
  return {
    status: 404,
    title: isOurs ? `Nothing is called ${host}` : `${host || "This name"} is not served here`,
    text: "No container has this name, neither as SERVICE.PROJECT nor by its own name or label.",
    remedies: [
      "naru ps shows what runs, naru front-door ls what has a name here",
      `the label naru.http.host=${host} gives a container this name`,
    ],
    // A stranger's page that got here by its own name need not know what runs on this machine.
    ...(isOurs ? { links: hosts.slice(0, MAX_LINKS) } : {}),
  };
};

export const noSuchPath = (host: string, path: string): Page => ({
  status: 404,
  title: `Nothing at ${path} of ${host}`,
  text: "Containers serve other paths of this name.",
  remedies: ["naru front-door ls shows which", "the label naru.http.path says what one serves"],
});

const lineOf = ({ name, reason }: DoorTarget): string => `${name}: ${reason ?? "ready"}`;

export const nobodyReady = ({ what, targets }: DoorRoute): Page => {
  const waiting = targets.filter(({ state }) => state === "waiting");
  const [first] = waiting.length > 0 ? waiting : targets;
  const name = first?.name ?? "";
  return {
    status: 503,
    title: `The ${what} cannot answer now`,
    text: targets.map(lineOf).join("; "),
    remedies:
      waiting.length > 0
        ? [`naru inspect ${name} shows the health check's output`, `naru logs ${name}`]
        : [`naru logs ${name}`, `naru start ${name}, or up for its project`],
    retryAfterSeconds: waiting.length > 0 ? 1 : 5,
  };
};

export const noAnswer = (route: DoorRoute, target: DoorTarget, reason: string): Page => ({
  status: 502,
  title: `The ${route.what} did not answer`,
  text: `${target.name} at ${target.ip ?? ""}:${target.port ?? 0}: ${reason}`,
  remedies: [
    `naru logs ${target.name} shows whether it has started and where it listens (all of 0.0.0.0, not 127.0.0.1)`,
    `the label naru.http.port=PORT says where it serves, if not at ${target.port ?? 0}`,
  ],
});

export const refused = (status: number, reason: string): Page => ({
  status,
  title: "The request was not understood",
  text: reason,
  remedies: [],
});

const html = ({ title, text, remedies, links = [] }: Page): string =>
  `<!doctype html><meta charset=utf-8><title>${escaped(title)}</title>` +
  `<style>body{font:16px/1.5 system-ui,sans-serif;margin:10vh auto;max-width:44em;padding:0 1em}code{white-space:pre-wrap}</style>` +
  `<h1>${escaped(title)}</h1><p>${escaped(text)}` +
  (remedies.length === 0
    ? ""
    : `<ul>${remedies.map((line) => `<li><code>${escaped(line)}</code>`).join("")}</ul>`) +
  (links.length === 0
    ? ""
    : `<p>What there is:<ul>${links.map((name) => `<li><a href="//${escaped(name)}/">${escaped(name)}</a>`).join("")}</ul>`) +
  `<p><small>naru front door</small>\n`;

const plain = ({ title, text, remedies, links = [] }: Page): string =>
  [title, text, ...remedies.map((line) => `- ${line}`), ...links, ""].join("\n");

/** The whole answer. Programs get text, browsers a page. */
export const renderPage = (
  page: Page,
  accept: string,
  isHead: boolean,
  isKept: boolean,
): string => {
  const isHtml = accept.includes("text/html");
  const body = Buffer.from(isHtml ? html(page) : plain(page)).toString("latin1");
  const lines = [
    `HTTP/1.1 ${page.status} ${reasonOf(page.status)}`,
    `Content-Type: text/${isHtml ? "html" : "plain"}; charset=utf-8`,
    `Content-Length: ${body.length}`,
    "Cache-Control: no-store",
    "Server: naru",
    ...(page.retryAfterSeconds === undefined ? [] : [`Retry-After: ${page.retryAfterSeconds}`]),
    `Connection: ${isKept ? "keep-alive" : "close"}`,
  ];
  return `${lines.join("\r\n")}\r\n\r\n${isHead ? "" : body}`;
};
