/** From a request to the handler of its path, and from what it throws to an answer. */
import type { DockerBackend } from "#api/docker/backend.ts";
import { Call } from "#api/docker/call.ts";
import { errorBody, JSON_FIELDS, statusOf } from "#api/docker/errors.ts";
import { createRouter, type Router } from "#api/docker/router.ts";
import { routes } from "#api/docker/routes.ts";
import { minorOf, splitVersion } from "#api/docker/version.ts";
import type { Exchange, ExchangeHandler } from "#api/http/exchange.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";

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
  const { route, parameters } = match;
  return { route, call: new Call(backend, exchange, minorOf(version), parameters) };
};

export const createDispatch = (backend: DockerBackend): ExchangeHandler => {
  const router = createRouter(routes);
  return (exchange) => {
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
