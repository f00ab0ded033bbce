import { expect, test } from "bun:test";
import { fetchRoot } from "#image/import-url.ts";

const NO_PROXY = { http: "", https: "", none: "" };
const fetchText = async (source: string): Promise<string> => {
  const parts = await Array.fromAsync(
    await fetchRoot(source, NO_PROXY, AbortSignal.timeout(60_000)),
  );
  return Buffer.concat(parts).toString();
};

test("a root file system is fetched by its address, with a scheme or without one", async () => {
  using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ url }) =>
      url.endsWith("/root.tar")
        ? new Response("the tar")
        : new Response("gone", { status: url.endsWith("/down") ? 502 : 404 }),
  });
  const place = `127.0.0.1:${server.port}`;
  expect(await fetchText(`http://${place}/root.tar`)).toBe("the tar");
  expect(await fetchText(`${place}/root.tar`)).toBe("the tar");
  expect(fetchText(`http://${place}/other`)).rejects.toMatchObject({ code: "not_found" });
  expect(fetchText(`http://${place}/down`)).rejects.toMatchObject({ code: "unavailable" });
  expect(fetchText("http://127.0.0.1:1/root.tar")).rejects.toMatchObject({ code: "unavailable" });
  // Errors are shown, and kept in logs.
  const error: unknown = await fetchText(`http://me:secret@${place}/down`).catch((one) => one);
  expect(String(error)).toContain(`"http://me:xxxxx@${place}/down"`);
  await server.stop(true);
});

test("other kinds of addresses are refused by name", () => {
  for (const source of ["file:///etc/passwd", "ftp://x/y.tar", ""])
    expect(fetchText(source)).rejects.toThrow(`"${source}": it is no address of http or https`);
});
