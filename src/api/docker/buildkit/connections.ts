/** Connections that left HTTP/1.1 for BuildKit's protocol: the engine serves on /grpc, and asks on /session. */
import { contentHandlers } from "#api/docker/buildkit/content.ts";
import { controlHandlers } from "#api/docker/buildkit/control.ts";
import { gatewayHandlers } from "#api/docker/buildkit/gateway.ts";
import { scopeOfClient } from "#api/docker/buildkit/gateway-scope.ts";
import { stateOf } from "#api/docker/buildkit/state.ts";
import type { Call } from "#api/docker/call.ts";
import type { DockerBackend } from "#api/docker/backend.ts";
import type { Exchange } from "#api/http/exchange.ts";
import { duplexOf } from "#api/grpc/duplex.ts";
import { type GrpcHandler, GrpcServer, readOne } from "#api/grpc/server.ts";
import { now } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";

const HEALTH = "/grpc.health.v1.Health/Check";
/** HealthCheckResponse with status SERVING: field 1, value 1. */
const SERVING = new Uint8Array([0x08, 0x01]);

const health: GrpcHandler = async (call) => {
  await readOne(call);
  await call.send(SERVING);
};

const servers = new WeakMap<DockerBackend, GrpcServer>();

const serverOf = (backend: DockerBackend): GrpcServer => {
  let server = servers.get(backend);
  if (server === undefined) {
    const control = controlHandlers(backend);
    const gateway = gatewayHandlers(backend, scopeOfClient(backend));
    const content = contentHandlers(backend);
    const handlerOf = (path: string): GrpcHandler | undefined =>
      control.get(path) ??
      gateway.get(path) ??
      content.get(path) ??
      (path === HEALTH ? health : undefined);
    // Clients reckon by it how long a build has been running.
    const fieldsOf = () => ({ "buildkit-current-timestamp": now() });
    server = new GrpcServer(handlerOf, backend.logger, fieldsOf);
    servers.set(backend, server);
  }
  return server;
};

const UPGRADED = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

const checkUpgrade = (call: Call): void => {
  const { upgrade } = call.exchange.head;
  if (upgrade === "h2c") return;
  throw new NaruError(
    "invalid_argument",
    upgrade === undefined ? "no upgrade proto in request" : `protocol ${upgrade} not supported`,
  );
};

export const serveGrpc = async (call: Call): Promise<void> => {
  checkUpgrade(call);
  await serverOf(call.backend).serve(duplexOf(call.exchange.hijack(UPGRADED)));
};

/** A connection that speaks HTTP/2 from its first byte on. */
export const serveHttp2 = async (backend: DockerBackend, exchange: Exchange): Promise<void> => {
  await serverOf(backend).serve(duplexOf(exchange.hijack("")));
};

export const serveSession = async (call: Call): Promise<void> => {
  checkUpgrade(call);
  const { sessions } = stateOf(call.backend);
  const { fields } = call.exchange.head;
  sessions.check(fields);
  await sessions.serve(fields, duplexOf(call.exchange.hijack(UPGRADED)));
};
