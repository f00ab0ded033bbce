/** One conversation with rtnetlink(7): requests out, acknowledgements or dumped rows back. */
import { NaruError } from "#lib/errors.ts";
import { ERRNO, errnoError, errnoName } from "#kernel/errno.ts";
import { checked, lastErrno, libc } from "#kernel/libc.ts";
import {
  HEADER_BYTES,
  NLM,
  NLMSG_DONE,
  NLMSG_ERROR,
  type NetlinkReply,
  type NetlinkRequest,
  parseAttributes,
  parseReplies,
  readText,
  requestBytes,
} from "#kernel/netlink.ts";

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const NETLINK_ROUTE = 0;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NLMSGERR_ATTR_MSG = 1;
/** The kernel answers while it takes the request; this only bounds a fault. */
const RECEIVE_TIMEOUT_SECONDS = 5n;
/** The kernel fills at most 32 KiB per message of a dump. */
const RECEIVE_BYTES = 64 * 1024;

/** A request and what it is about, for errors. */
export interface Step {
  /** In words: `create bridge`. */
  readonly call: string;
  /** The interface or address it is about. */
  readonly subject: string;
  readonly request: NetlinkRequest;
}

const buffer = new Uint8Array(RECEIVE_BYTES);

const open = (): number => {
  const fd = checked(
    libc().socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_ROUTE),
    "socket",
    "netlink",
  );
  const on = Int32Array.of(1);
  const timeout = BigInt64Array.of(RECEIVE_TIMEOUT_SECONDS, 0n);
  libc().setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.byteLength);
  // Both only make errors shorter and clearer; kernels without them still answer.
  libc().setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, on, 4);
  libc().setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, on, 4);
  return fd;
};

const receive = (fd: number, step: Step): NetlinkReply[] => {
  for (;;) {
    const length = Number(libc().recv(fd, buffer, buffer.length, 0));
    if (length >= 0) return parseReplies(buffer.slice(0, length));
    const errno = lastErrno();
    if (errno !== ERRNO["EINTR"]) throw errnoError("recv", errno, step.subject);
  }
};

/** The error in an NLMSG_ERROR message; undefined when it is the acknowledgement (errno 0). */
const errorOf = (reply: NetlinkReply, step: Step): NaruError | undefined => {
  const view = new DataView(reply.payload.buffer, reply.payload.byteOffset);
  const errno = -view.getInt32(0, true);
  if (errno === 0) return undefined;
  const hasText = (reply.flags & NLM.ackTlvs) !== 0;
  const text = hasText
    ? readText(parseAttributes(reply.payload.subarray(4 + HEADER_BYTES)).get(NLMSGERR_ATTR_MSG))
    : undefined;
  const error = errnoError(step.call, errno, step.subject);
  if (text === undefined) return error;
  return new NaruError(
    error.code,
    `${step.call} failed for "${step.subject}": ${text} (${errnoName(errno)})`,
    { details: error.details },
  );
};

const send = (fd: number, bytes: Uint8Array, step: Step): void =>
  void checked(libc().send(fd, bytes, bytes.length, 0), "send", step.subject);

/**
 * Sends all steps in one message and reads their acknowledgements. The kernel goes through them in
 * order and does not stop at a failure: the first error is thrown after all were tried.
 */
export const transact = (steps: readonly Step[]): void => {
  const [first] = steps;
  if (first === undefined) return;
  const fd = open();
  try {
    const parts = steps.map(({ request }, index) =>
      requestBytes({ ...request, flags: request.flags | NLM.request | NLM.ack }, index + 1),
    );
    send(fd, new Uint8Array(Buffer.concat(parts)), first);
    const errors: NaruError[] = [];
    for (let answered = 0; answered < steps.length;) {
      for (const reply of receive(fd, first)) {
        const step = steps[reply.sequence - 1];
        if (reply.type !== NLMSG_ERROR || step === undefined) continue;
        answered += 1;
        const error = errorOf(reply, step);
        if (error !== undefined) errors.push(error);
      }
    }
    if (errors[0] !== undefined) throw errors[0];
  } finally {
    libc().close(fd);
  }
};

/** One request, one row. Throws what the kernel answers, `not_found` or `ENODEV` among others. */
export const ask = (step: Step): NetlinkReply => {
  const fd = open();
  try {
    send(fd, requestBytes({ ...step.request, flags: step.request.flags | NLM.request }, 1), step);
    const [reply] = receive(fd, step);
    if (reply === undefined) throw errnoError(step.call, ERRNO["EIO"] ?? 5, step.subject);
    const error = reply.type === NLMSG_ERROR ? errorOf(reply, step) : undefined;
    if (error !== undefined) throw error;
    return reply;
  } finally {
    libc().close(fd);
  }
};

/** All rows of a table. */
export const dump = (step: Step): NetlinkReply[] => {
  const fd = open();
  try {
    send(fd, requestBytes({ ...step.request, flags: NLM.request | NLM.dump }, 1), step);
    const rows: NetlinkReply[] = [];
    for (;;) {
      for (const reply of receive(fd, step)) {
        if (reply.type === NLMSG_DONE) return rows;
        const error = reply.type === NLMSG_ERROR ? errorOf(reply, step) : undefined;
        if (error !== undefined) throw error;
        rows.push(reply);
      }
    }
  } finally {
    libc().close(fd);
  }
};
