/** BuildKit's endpoints. What is behind them is loaded with the first call. */
import { type Handler, post, type Route } from "#api/docker/route.ts";

const session: Handler = async (call) => {
  const { serveSession } = await import("#api/docker/buildkit/connections.ts");
  await serveSession(call);
};

const grpc: Handler = async (call) => {
  const { serveGrpc } = await import("#api/docker/buildkit/connections.ts");
  await serveGrpc(call);
};

export const buildKitRoutes: readonly Route[] = [post("/session", session), post("/grpc", grpc)];
