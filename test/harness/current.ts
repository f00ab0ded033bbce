/** The engine of this test process: the given one, or one kept by a keeper process. */
import { readFileSync } from "node:fs";

import { startKeeper } from "./keeper-client.ts";
import type { Engine } from "./engine.ts";
import { loadFixtures } from "./fixtures.ts";
import { api } from "./http.ts";

const given = process.env["NARU_E2E_HOST"];
const keeper = given === undefined ? await startKeeper() : undefined;
const host = given ?? keeper?.facts.host ?? "";
const socketPath = host.replace(/^unix:\/\//, "");

interface VersionReply {
  readonly Version: string;
  readonly ApiVersion: string;
  readonly Platform?: { readonly Name?: string };
  readonly Components?: readonly { readonly Name: string }[];
}

const version = (await api(socketPath, "GET", "/version")).json<VersionReply>();

const guessKind = (): Engine["kind"] => {
  const names = [version.Platform?.Name ?? "", ...(version.Components ?? []).map((c) => c.Name)];
  if (names.some((name) => name.toLowerCase().includes("naru"))) return "naru";
  if (version.Version.startsWith("20.")) return "docker20";
  return version.Version.startsWith("28.") ? "docker28" : "given";
};

interface GivenFacts {
  readonly hostIp: string;
  readonly enter: readonly string[];
}

/** `E2E_FACTS`: a file with the keeper's line, so that several test processes share one engine. */
const sharedFacts = (): (Partial<Engine> & GivenFacts) | undefined => {
  const path = process.env["E2E_FACTS"];
  return path === undefined ? undefined : (JSON.parse(readFileSync(path, "utf8")) as Engine);
};

const facts = keeper?.facts ?? sharedFacts();
if (given !== undefined && facts === undefined) await loadFixtures(socketPath);

export const engine: Engine = {
  kind: (process.env["E2E_KIND"] as Engine["kind"] | undefined) ?? facts?.kind ?? guessKind(),
  host,
  socketPath,
  version: version.Version,
  apiVersion: version.ApiVersion,
  hostIp: facts?.hostIp ?? "127.0.0.1",
  enter: facts?.enter ?? [],
  dataRoot: facts?.dataRoot,
  pid: facts?.pid,
};
