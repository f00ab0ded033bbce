import { expect, test } from "bun:test";
import { type DoorContainer, hostLabel, hostNamesOf, portOf, routesOf } from "#door/routes.ts";
import { DoorTable, hostOf } from "#door/table.ts";

const container = (name: string, extra: Partial<DoorContainer> = {}): DoorContainer => ({
  name,
  labels: {},
  status: "running",
  isRunning: true,
  health: "none",
  ip: "172.18.0.2",
  ports: [80],
  ...extra,
});

const compose = (service: string, project = "shop", more: Record<string, string> = {}) => ({
  "com.docker.compose.service": service,
  "com.docker.compose.project": project,
  ...more,
});

const names = (list: readonly DoorContainer[]): string[] =>
  routesOf(list).map(({ host, path }) => host + (path === "/" ? "" : path));

test("names by compose's labels, its own name, and what it asks for", () => {
  const labels = compose("Web_App", "My.Shop", { "naru.http.host": "Api.test, bad host,x.local." });
  expect(names([container("my-shop-web-1", { labels })])).toEqual([
    "api.test",
    "my-shop-web-1.naru.localhost",
    "web-app.my-shop.naru.localhost",
    "x.local",
  ]);
  expect(names([container("a", { labels: { "naru.http": "false" } })])).toEqual([]);
  // What `compose run` starts beside a service does not stand in for it.
  const oneOff = { ...compose("web"), "com.docker.compose.oneoff": "True" };
  expect(names([container("shop-web-run-1", { labels: oneOff })])).toEqual([
    "shop-web-run-1.naru.localhost",
  ]);
  expect(names([container("a", { labels: { "naru.http.path": "api/" } })])).toEqual([
    "a.naru.localhost/api",
  ]);
  expect(hostLabel("__")).toBe("");
});

test("the port: what the label says, else the usual one, else the lowest", () => {
  const port = (ports: number[], label?: string): number | undefined =>
    portOf(
      container("a", { ports, labels: label === undefined ? {} : { "naru.http.port": label } }),
    );
  expect(port([9229, 8080])).toBe(8080);
  expect(port([7000, 6000])).toBe(6000);
  expect(port([80], "3001")).toBe(3001);
  expect(port([80], "http")).toBeUndefined();
  expect(port([])).toBeUndefined();
});

test("who cannot serve says why", () => {
  const states: [Partial<DoorContainer>, string, RegExp | undefined][] = [
    [{}, "ready", undefined],
    [{ health: "healthy" }, "ready", undefined],
    [{ health: "starting" }, "waiting", /not passed yet/],
    [{ health: "unhealthy" }, "waiting", /fails/],
    [{ isRunning: false, status: "exited (1)" }, "down", /exited \(1\)/],
    [{ ip: undefined }, "down", /network/],
    [{ ports: [] }, "down", /naru\.http\.port/],
    [{ labels: { "naru.http.port": "0" } }, "down", /"0"/],
  ];
  for (const [extra, state, reason] of states) {
    const [target] = routesOf([container("a", extra)])[0]?.targets ?? [];
    expect(target?.state).toBe(state as never);
    if (reason !== undefined) expect(target?.reason).toMatch(reason);
  }
});

test("the least busy is asked, equals in turn; the longest path wins", () => {
  const table = new DoorTable();
  const replica = (name: string, ip: string) =>
    container(name, { ip, labels: compose("web"), ports: [80] });
  const api = container("api", {
    ip: "10.0.0.9",
    labels: { "naru.http.host": "web.shop.naru.localhost", "naru.http.path": "/api" },
  });
  table.set(routesOf([replica("a", "10.0.0.1"), replica("b", "10.0.0.2"), api]));
  const route = table.find("web.shop.naru.localhost", "/x")!;
  const first = table.order(route)[0]!;
  const second = table.order(route)[0]!;
  expect(new Set([first.name, second.name])).toEqual(new Set(["a", "b"]));
  const end = table.begin(first);
  for (let count = 0; count < 4; count += 1) expect(table.order(route)[0]).toEqual(second);
  end();
  end();
  expect(table.order(route)).toHaveLength(2);
  expect(table.find("web.shop.naru.localhost", "/api/1")?.targets[0]?.name).toBe("api");
  expect(table.find("web.shop.naru.localhost", "/apis")).toBe(route);
  expect(table.find("nobody.naru.localhost", "/")).toBeUndefined();
  expect(hostOf("Web.Shop.naru.localhost.:8080")).toBe("web.shop.naru.localhost");
});

test("names for this machine: the loopback with the front door, the containers' own below ip.", () => {
  const list = [
    container("shop-web-1", { ip: "10.0.0.1", labels: compose("web") }),
    container("shop-web-2", { ip: "10.0.0.2", labels: compose("web"), health: "unhealthy" }),
    container("shop-db-1", { ip: "10.0.0.3", labels: compose("db"), health: "starting" }),
    container("off", { ip: "10.0.0.4", isRunning: false }),
  ];
  expect(hostNamesOf(list, false)).toMatchObject({
    "web.shop.naru.localhost": ["10.0.0.1"],
    "web.shop.ip.naru.localhost": ["10.0.0.1"],
    "shop-web-2.naru.localhost": ["10.0.0.2"],
    "db.shop.naru.localhost": ["10.0.0.3"],
  });
  expect(Object.keys(hostNamesOf(list, false)).join()).not.toContain("off");
  expect(hostNamesOf(list, true)).toMatchObject({
    "web.shop.naru.localhost": ["127.0.0.1", "::1"],
    "web.shop.ip.naru.localhost": ["10.0.0.1"],
  });
});
