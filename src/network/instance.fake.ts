/** For tests on the real kernel: the room in instances of its own, servers and clients in sandboxes. */
import { mkdtempSync, rmSync } from "node:fs";
import { randomHex } from "#lib/clock.ts";
import { silentLogger } from "#lib/log.ts";
import { openDatabase } from "#database/database.ts";
import { createLinkKernel } from "#kernel/link.ts";
import { namespaceKernel } from "#kernel/namespace.ts";
import { createNftKernel } from "#kernel/nft.ts";
import { portKernel } from "#kernel/reserve.ts";
import { readSysctl, writeSysctl } from "#kernel/sysctl.ts";
import { NETWORK_MIGRATIONS, createNetworkRows } from "#metadata/networks.ts";
import { createLinuxHost } from "#network/linux-host.ts";
import type { Endpoint, EndpointOrder, NetworkService, Sandbox } from "#network/network.ts";
import { createNetworkService } from "#network/service.ts";

const nft = createNftKernel();

/** What the firewall was told by all instances of this process, a text for each transaction. */
export const rulesets: string[] = [];

export const host = createLinuxHost({
  namespaces: namespaceKernel,
  links: createLinkKernel(),
  ports: portKernel,
  sysctl: { readSysctl, writeSysctl },
  applyRuleset: (text) => {
    rulesets.push(text);
    return nft.apply(text);
  },
  applyRulesetIn: (netnsPath, text) => nft.applyIn(netnsPath, text),
});

const MAIN = new URL("../main.ts", import.meta.url).pathname;
const BESIDE = [process.execPath, MAIN, "_worker", "network"];

export const undo: (() => Promise<void> | void)[] = [];
/** Every file of tests gives this to `afterEach`. */
export const cleanUp = async (): Promise<void> => {
  for (const step of undo.splice(0).toReversed()) await step();
};

export interface Instance {
  readonly service: NetworkService;
  readonly instanceId: string;
  readonly execRoot: string;
  /** A new service over the same rows, as after a death of the daemon. */
  readonly reborn: () => NetworkService;
}

export const makeInstance = async (
  options: { bip?: string; poolMin?: number } = {},
): Promise<Instance> => {
  const instanceId = randomHex(3);
  const execRoot = mkdtempSync("/tmp/naru-net-");
  const rows = createNetworkRows(openDatabase(":memory:", NETWORK_MIGRATIONS));
  const made: NetworkService[] = [];
  const make = (): NetworkService => {
    const service = createNetworkService({
      instanceId,
      execRoot,
      host,
      rows,
      logger: silentLogger,
      beside: { command: BESIDE, build: "test" },
      ...options,
    });
    made.push(service);
    return service;
  };
  const service = make();
  undo.push(async () => {
    for (const one of made) await one.stop();
    await make().reset();
    rmSync(execRoot, { recursive: true });
  });
  await service.start();
  return { service, instanceId, execRoot, reborn: make };
};

/** The one endpoint of a sandbox made by `acquire`. */
export const at = (sandbox: Sandbox): Endpoint => {
  const [endpoint] = sandbox.endpoints;
  if (endpoint === undefined) throw new Error("a sandbox without an endpoint");
  return endpoint;
};

export const acquire = (
  service: NetworkService,
  containerId: string,
  ...orders: EndpointOrder[]
): Promise<Sandbox> =>
  service.acquire({
    containerId,
    mode: "bridge",
    endpoints: orders.length === 0 ? [{ network: "bridge" }] : orders,
  });

/** A web server inside a sandbox that answers with `text` and the client's address. */
export const serve = async (sandbox: Sandbox, text: string, port = 80): Promise<number> => {
  const script = `import http.server
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("${text} " + self.client_address[0]).encode()
        self.send_response(200); self.send_header("content-length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
s = http.server.ThreadingHTTPServer(("0.0.0.0", ${port}), H)
print("ready", flush=True)
s.serve_forever()`;
  const child = Bun.spawn(["nsenter", `--net=${sandbox.netnsPath}`, "python3", "-c", script], {
    stdout: "pipe",
    stderr: "inherit",
  });
  undo.push(async () => {
    child.kill("SIGKILL");
    await child.exited;
  });
  await child.stdout.getReader().read();
  return child.pid;
};

export const get = async (url: string): Promise<string> =>
  (
    await fetch(url, { signal: AbortSignal.timeout(10_000), headers: { connection: "close" } })
  ).text();

/** The same from inside a sandbox. */
export const getInside = async (sandbox: Sandbox, url: string): Promise<string> => {
  const child = Bun.spawn(["nsenter", `--net=${sandbox.netnsPath}`, "curl", "-s", "-m", "5", url], {
    stdout: "pipe",
    stderr: "ignore",
  });
  const text = await child.stdout.text();
  return (await child.exited) === 0 ? text : "failed";
};

export const hostIp = (): string => {
  const out = Bun.spawnSync([
    "ip",
    "-4",
    "-o",
    "addr",
    "show",
    "scope",
    "global",
  ]).stdout.toString();
  const line = out.split("\n").find((l) => !/ (nr|docker|br-)/.test(l)) ?? "";
  return /inet ([\d.]+)/.exec(line)?.[1] ?? "";
};

export const order = (containerId: string, sandbox: Sandbox, ports: Record<string, string[]>) => ({
  containerId,
  containerName: containerId,
  sandbox,
  ports: Object.fromEntries(
    Object.entries(ports).map(([key, list]) => [
      key,
      list.map((text) => {
        const [ip = "", port = ""] = text.includes(":") ? text.split(":") : ["", text];
        return { HostIp: ip, HostPort: port };
      }),
    ]),
  ),
});
