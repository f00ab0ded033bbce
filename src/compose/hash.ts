/**
 * Config hashes, byte for byte those of docker compose 2: each tool sees by them that nothing has
 * changed, so that it does not recreate what the other one made. They are the SHA-256 of Go's JSON
 * of the resolved attribute tree (pkg/compose/hash.go, v2.40).
 */
import type { Network, Service, Volume } from "#spec/compose/compose.ts";
import { goJson, jsonNetwork, jsonService } from "#spec/compose/print.ts";

const sha256 = (text: string): string => new Bun.CryptoHasher("sha256").update(text).digest("hex");

/** What decides how many containers there are, and when they start, does not change them. */
const WITHOUT = new Set(["build", "pull_policy", "scale", "depends_on", "profiles"]);

export const serviceHash = (service: Service): string => {
  const { replicas: _replicas, ...deploy } = service.deploy ?? {};
  const counted: Service = service.deploy ? { ...service, deploy } : service;
  const entries = Object.entries(jsonService(counted)).filter(([key]) => !WITHOUT.has(key));
  return sha256(goJson(Object.fromEntries(entries)));
};

export const networkHash = (network: Network): string => sha256(goJson(jsonNetwork(network)));

const VOLUME = ["name", "driver", "driver_opts", "external", "labels"];

export const volumeHash = (volume: Volume): string => {
  const whole = { ...volume, driver: volume.driver ?? "local" };
  const entries = VOLUME.map((key): [string, unknown] => [key, Reflect.get(whole, key)]);
  return sha256(goJson(Object.fromEntries(entries.filter(([, value]) => value !== undefined))));
};
