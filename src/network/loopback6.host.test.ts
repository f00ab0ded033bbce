/** Published ports at the host's [::1], against the real kernel. Needs root. */
import { afterEach, expect, test } from "bun:test";
import { createServer } from "node:net";
import {
  acquire,
  at,
  cleanUp,
  get,
  makeInstance,
  order,
  serve,
  undo,
} from "#network/instance.fake.ts";
import type { NetworkService } from "#network/network.ts";

afterEach(cleanUp);

/** Until the process beside the daemon has come up, for who does not wait for it. */
const isLed = async (service: NetworkService, url: string, expected: string): Promise<boolean> => {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const text = await get(url).catch(String);
    if (text.startsWith(expected)) return true;
    if (Date.now() > deadline) throw new Error(text);
    await Bun.sleep(20);
  }
};

test("a port for everyone is reached at [::1] too, in a network of IPv4 and in one of both", async () => {
  const { service, reborn } = await makeInstance();
  await service.restore([]);
  await service.create({ Name: "both", EnableIPv6: true });
  const four = await acquire(service, "four");
  const both = await acquire(service, "both", { network: "both", names: ["beta"] });
  await serve(four, "four");
  await serve(both, "both");
  const ports = await service.publish(order("four", four, { "80/tcp": ["0.0.0.0:18091"] }));
  await service.publish(order("both", both, { "80/tcp": ["18092"] }));
  expect(await isLed(service, "http://[::1]:18091/", `four ${service.hostGateway()}`)).toBe(true);
  expect(await isLed(service, "http://[::1]:18092/", "both")).toBe(true);
  expect(service.isRelayed("four", "::1", 18091)).toBe(true);
  // It is held for all that: nobody else gets the port.
  const other = createServer();
  const refused = new Promise((resolve) => other.once("error", resolve));
  other.listen({ host: "::", port: 18092, ipv6Only: true });
  expect(await refused).toMatchObject({ code: "EADDRINUSE" });
  // It goes on while the daemon is away.
  await service.stop();
  expect(await get("http://[::1]:18091/")).toStartWith("four");
  const next = reborn();
  await next.start();
  await next.restore([{ containerId: "four", containerName: "four", sandbox: four, ports }]);
  expect(await isLed(next, "http://[::1]:18091/", "four")).toBe(true);
  await next.unpublish("four");
  const deadline = Date.now() + 60_000;
  let gone = "";
  while (!gone.includes("refused") && !gone.includes("connect") && Date.now() < deadline)
    gone = await get("http://[::1]:18091/").catch(String);
  expect(gone).toMatch(/refused|connect/i);
}, 300_000);

test("[::1] alone: nobody else is led there; a port that somebody has there is refused", async () => {
  const { service } = await makeInstance();
  await service.restore([]);
  const web = await acquire(service, "web");
  await serve(web, "web");
  const binding = (HostPort: string, port = "80/tcp") => ({
    ...order("web", web, {}),
    ports: { [port]: [{ HostIp: "::1", HostPort }] },
  });
  expect(await service.publish(binding("18093"))).toEqual({
    "80/tcp": [{ HostIp: "::1", HostPort: "18093" }],
  });
  expect(await get("http://[::1]:18093/")).toStartWith("web");
  expect(get("http://127.0.0.1:18093/")).rejects.toThrow();
  const taken = createServer();
  undo.push(() => void taken.close());
  await new Promise<void>((resolve) => taken.listen({ host: "::1", port: 18094 }, resolve));
  expect(service.publish(binding("18094"))).rejects.toThrow(/18094.*in use/);
  expect(service.publish(binding("18095", "53/udp"))).rejects.toThrow(/UDP/);
  expect(at(web).ip).not.toBe("");
  // For everyone, where somebody has [::1]: the others are served, and it is known.
  await service.publish(order("web", web, { "80/tcp": ["0.0.0.0:18094"] }));
  expect(await get("http://127.0.0.1:18094/")).toStartWith("web");
  expect(service.isRelayed("web", "::1", 18094)).toBe(false);
}, 300_000);
