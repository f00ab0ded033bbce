/** How a connection says that it speaks HTTP/2. */
import type { RequestHead } from "#api/http/head.ts";

/** The whole of HTTP/2's preface (RFC 9113 §3.4) begins as a request does that HTTP/1.1 has not. */
export const HTTP2_PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\n");
/** What stands for the head of a connection that speaks HTTP/2 from its first byte on. */
export const HTTP2_HEAD: RequestHead = {
  method: "PRI",
  path: "*",
  queryText: "",
  minorVersion: 1,
  fields: new Map(),
  isKeepAlive: false,
  contentLength: 0,
  isContinueExpected: false,
  upgrade: "h2c",
};
