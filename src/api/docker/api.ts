/**
 * The Docker Engine API over the house's rooms. HTTP only: decode, call, encode, map errors.
 * `createDockerServer` gives the server whose `onConnection` takes accepted sockets.
 */
import type { DockerBackend } from "#api/docker/backend.ts";
import { Call, JSON_FIELDS } from "#api/docker/call.ts";
import { errorBody, statusOf } from "#api/docker/errors.ts";
import { createRouter, type Router } from "#api/docker/router.ts";
import { routes } from "#api/docker/routes.ts";
import { pingAnswer } from "#api/docker/system/ping.ts";
import { minorOf, splitVersion } from "#api/docker/version.ts";
import type { Exchange, ExchangeHandler } from "#api/http/exchange.ts";
import { createHttpServer, type HttpServer } from "#api/http/server.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { API_VERSION_MAX } from "#spec/docker/api-version.ts";
import { COMPATIBLE_ENGINE_VERSION } from "#spec/docker/system.ts";

/** Fields of every answer. */
const SERVER_FIELDS =
  `Api-Version: ${API_VERSION_MAX}\r\nDocker-Experimental: false\r\nOstype: linux\r\n` +
  `Server: Docker/${COMPATIBLE_ENGINE_VERSION} (linux)\r\n`;

const answerError = (backend: DockerBackend, exchange: Exchange, thrown: unknown): void => {
  const error = toNaruError(thrown);
  const { method, path } = exchange.head;
  if (error.code === "internal" || error.code === "data_loss") {
    backend.logger.error("a request failed", { method, path, error, cause: error.cause });
  }
  // Half an answer is out: the connection's own error path cuts it, so that the client notices.
  if (exchange.isAnswered) throw error;
  exchange.answer(statusOf(error), JSON_FIELDS, errorBody(error.message));
};

const findCall = (backend: DockerBackend, router: Router, exchange: Exchange) => {
  const { method, path: rawPath } = exchange.head;
  const { version, path } = splitVersion(rawPath);
  const match = router(method, path);
  if (match === undefined) throw new NaruError("not_found", "page not found");
  const minor = minorOf(version);
  const { route, parameters } = match;
  if (route.sinceMinor !== undefined && minor < route.sinceMinor) {
    throw new NaruError(
      "invalid_argument",
      `${method} ${path} requires API version 1.${route.sinceMinor}, but the API version asked for is 1.${minor}`,
    );
  }
  return { route, call: new Call(backend, exchange, minor, parameters) };
};

export const createDockerHandler = (backend: DockerBackend): ExchangeHandler => {
  const router = createRouter(routes);
  return (exchange) => {
    const { method, path } = exchange.head;
    if (path === "/_ping" && method === "GET") {
      exchange.prepared(pingAnswer);
      return undefined;
    }
    try {
      const { route, call } = findCall(backend, router, exchange);
      const result = route.handler(call);
      return result?.catch((error: unknown) => answerError(backend, exchange, error));
    } catch (error) {
      answerError(backend, exchange, error);
      return undefined;
    }
  };
};

export const createDockerServer = (backend: DockerBackend): HttpServer =>
  createHttpServer({
    handler: createDockerHandler(backend),
    // gRPC without an upgrade, as clients of BuildKit speak it.
    http2: async (exchange) => {
      const { serveHttp2 } = await import("#api/docker/buildkit/connections.ts");
      await serveHttp2(backend, exchange);
    },
    fields: SERVER_FIELDS,
    logger: backend.logger,
    refusal: (message) => ({ fields: JSON_FIELDS, body: errorBody(message) }),
  });
