/**
 * The Docker Engine API over the house's rooms. HTTP only: decode, call, encode, map errors.
 * `createDockerServer` gives the server whose `onConnection` takes accepted sockets.
 *
 * It serves before the rooms are up: `/_ping` is answered at once, everything else waits for them. So the many modules
 * of the endpoints are no part of the way to the first answer.
 */
import type { DockerBackend } from "#api/docker/backend.ts";
import { errorBody, JSON_FIELDS, statusOf } from "#api/docker/errors.ts";
import { answerPing } from "#api/docker/system/ping.ts";
import type { Exchange, ExchangeHandler } from "#api/http/exchange.ts";
import type { Widen } from "#api/http/outbound.ts";
import { createHttpServer, type HttpServer } from "#api/http/server.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";
import { API_VERSION_MAX } from "#spec/docker/api-version.ts";
import { COMPATIBLE_ENGINE_VERSION } from "#spec/docker/system.ts";

/** Fields of every answer. */
const SERVER_FIELDS =
  `Api-Version: ${API_VERSION_MAX}\r\nDocker-Experimental: false\r\nOstype: linux\r\n` +
  `Server: Docker/${COMPATIBLE_ENGINE_VERSION} (linux)\r\n`;

export interface DockerServerOptions {
  /**
   * Called when a request needs it, which then waits; called again it gives the same. When it fails, requests are
   * answered with its reason.
   */
  readonly backend: () => Promise<DockerBackend>;
  readonly logger: Logger;
  /** These two: see HttpServerOptions. */
  readonly widen?: Widen;
  readonly onRequest?: () => void;
}

/** What a request that waited hears when the engine does not come up. */
const refusing =
  (thrown: unknown): ExchangeHandler =>
  (exchange) => {
    const { message, details } = toNaruError(thrown);
    const error = new NaruError("unavailable", `the engine could not start: ${message}`, {
      details,
    });
    exchange.answer(statusOf(error), JSON_FIELDS, errorBody(error.message));
  };

/** The endpoints' modules: loaded beforehand, the first request need not wait for them. */
export const loadEndpoints = () => import("#api/docker/dispatch.ts");

const makeDispatch = async (backend: DockerServerOptions["backend"]): Promise<ExchangeHandler> => {
  const there = await backend();
  return (await loadEndpoints()).createDispatch(there);
};

const createDockerHandler = (backend: DockerServerOptions["backend"]): ExchangeHandler => {
  let coming: Promise<ExchangeHandler> | undefined;
  let dispatch: ExchangeHandler | undefined;
  const waited = async (exchange: Exchange): Promise<void> => {
    coming ??= makeDispatch(backend).catch(refusing);
    dispatch = await coming;
    await dispatch(exchange);
  };
  return (exchange) => {
    if (answerPing(exchange)) return undefined;
    return dispatch === undefined ? waited(exchange) : dispatch(exchange);
  };
};

export const createDockerServer = ({
  backend,
  logger,
  widen,
  onRequest,
}: DockerServerOptions): HttpServer =>
  createHttpServer({
    handler: createDockerHandler(backend),
    // gRPC without an upgrade, as clients of BuildKit speak it.
    http2: async (exchange) => {
      const there = await backend();
      const { serveHttp2 } = await import("#api/docker/buildkit/connections.ts");
      await serveHttp2(there, exchange);
    },
    fields: SERVER_FIELDS,
    logger,
    ...(widen === undefined ? {} : { widen }),
    ...(onRequest === undefined ? {} : { onRequest }),
    refusal: (message) => ({ fields: JSON_FIELDS, body: errorBody(message) }),
  });
