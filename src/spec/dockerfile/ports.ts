/** EXPOSE: "[ip:][host:]port[-port][/protocol]". Source: the Dockerfile reference, "EXPOSE". */
import { isIP } from "#lib/ip-address.ts";
import { Complaint } from "#spec/dockerfile/error.ts";

export interface ExposedPorts {
  /** "80/tcp". */
  readonly ports: readonly string[];
  /** An address or a port of the host was given: it means nothing here. */
  readonly hasHostPart: boolean;
  /** As written; "" when left out. */
  readonly protocol: string;
}

const PORT_MAX = 65535;

const readPort = (text: string): number => {
  const port = /^[+-]?\d+$/.test(text) ? Number(text) : -1;
  return port > PORT_MAX ? -1 : port;
};

const readRange = (text: string, what: string): readonly [first: number, last: number] => {
  const dash = text.indexOf("-");
  const first = readPort(dash < 0 ? text : text.slice(0, dash));
  const last = dash < 0 ? first : readPort(text.slice(dash + 1));
  if (first < 0 || last < first) throw new Complaint(`invalid ${what}: ${text}`);
  return [first, last];
};

const PROTOCOLS: readonly string[] = ["", "tcp", "udp", "sctp"];

/** Throws Complaint in Docker's words. */
export const parseExposed = (word: string): ExposedPorts => {
  const parts = word.split(":");
  const container = parts.pop() ?? "";
  const host = parts.pop() ?? "";
  const ip = parts.join(":");
  const slash = container.indexOf("/");
  const range = slash < 0 ? container : container.slice(0, slash);
  const protocol = slash < 0 ? "" : container.slice(slash + 1);
  if (range === "") throw new Complaint(`invalid port: ${JSON.stringify(word)}: no port specified`);
  if (!PROTOCOLS.includes(protocol.toLowerCase())) {
    throw new Complaint(`invalid port: ${JSON.stringify(word)}: invalid proto: ${protocol}`);
  }
  if (ip !== "" && !isIP(ip.replace(/^\[(.*)\]$/, "$1"))) {
    throw new Complaint(`invalid IP address: ${ip}`);
  }
  const [first, last] = readRange(range, "containerPort");
  if (host !== "") {
    const [hostFirst, hostLast] = readRange(host, "hostPort");
    if (last !== first && last - first !== hostLast - hostFirst) {
      throw new Complaint(
        `invalid ranges specified for container and host Ports: ${range} and ${host}`,
      );
    }
  }
  const kind = protocol === "" ? "tcp" : protocol.toLowerCase();
  const ports = Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${kind}`);
  return { ports, hasHostPart: ip !== "" || host !== "", protocol };
};
