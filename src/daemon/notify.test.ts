import { expect, test } from "bun:test";
import { NaruError } from "#lib/errors.ts";
import { createLogger, silentLogger } from "#lib/log.ts";
import { createNotifier } from "#daemon/notify.ts";

test("tells the service manager where one listens, and nobody else", () => {
  const sent: string[] = [];
  const kernel = {
    sendDatagram: (path: string, data: Uint8Array) =>
      void sent.push(`${path} ${Buffer.from(data).toString()}`),
  };
  for (const path of ["/run/notify", undefined, ""]) {
    const notifier = createNotifier(kernel, path, silentLogger);
    notifier.ready();
    notifier.reloading();
    notifier.stopping();
  }
  expect(sent).toEqual([
    "/run/notify READY=1",
    "/run/notify RELOADING=1",
    "/run/notify STOPPING=1",
  ]);
});

test("a service manager that is gone is a warning", () => {
  const lines: string[] = [];
  const kernel = {
    sendDatagram: () => {
      throw new NaruError("internal", "nobody listens");
    },
  };
  createNotifier(
    kernel,
    "@x",
    createLogger((level, text) => void lines.push(`${level} ${text}`)),
  ).ready();
  expect(lines).toEqual(["warn could not notify the service manager"]);
});
