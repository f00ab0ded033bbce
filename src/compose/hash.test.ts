/** The expected values are docker compose 2.40's own: `config --hash`, labels of what it made. */
import { expect, test } from "bun:test";
import { networkHash, serviceHash, volumeHash } from "#compose/hash.ts";
import { loadProject } from "#spec/compose/load.ts";
import { loadYamlLibrary } from "#spec/compose/yaml.ts";

await loadYamlLibrary();

const TEXT = `
services:
  a:
    image: x
    networks: {n: {ipv4_address: 1.2.3.4}}
    x-foo: {b: 1}
    labels: {z: "<b>&é", a: "1"}
    deploy: {replicas: 2, labels: {a: b}}
    healthcheck: {test: x, interval: 1m30s}
    develop: {watch: [{path: ., action: sync, target: /x, exec: {command: a}}]}
networks: {n: {labels: {a: b}, ipam: {driver: default, config: [{subnet: 10.0.0.0/24}]}}}
volumes: {v: {labels: {a: b}}}
`;

const { model } = loadProject({
  source: { read: () => TEXT },
  files: ["/tmp/cz/t1/h.yaml"],
  workingDirectory: "/tmp/cz/t1",
  fallbackName: "t1",
  environment: {},
  profiles: [],
});

test("a service", () => {
  expect(serviceHash(model.services["a"]!)).toBe(
    "6f7bf18bdbfc16e8740c539e8b105c49f9bc1b9449b99876e92f53a052927a0e",
  );
});

test("how many there are does not count", () => {
  const service = model.services["a"]!;
  expect(serviceHash({ ...service, scale: 5, depends_on: {} })).toBe(serviceHash(service));
});

test("a network and a volume", () => {
  expect(networkHash(model.networks!["n"]!)).toMatch(/^[0-9a-f]{64}$/);
  expect(volumeHash(model.volumes!["v"]!)).toMatch(/^[0-9a-f]{64}$/);
});
