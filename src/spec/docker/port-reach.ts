/** naru's own part of the API: published ports of running containers, and who can reach them. */
import type { PortMap } from "#spec/docker/host-config.ts";

/** One element of GET /naru/ports. */
export interface PortReach {
  Container: string;
  ContainerID: string;
  /** "80/tcp" inside. */
  Port: string;
  HostIp: string;
  HostPort: string;
  /** Address and port that connections are led to. */
  Target: string;
  Network: string;
  /** This machine alone, whoever reaches one address of it, or whoever reaches any. */
  Scope: "machine" | "address" | "everywhere";
  /** Addresses under which others reach it. */
  Addresses: string[];
  /** Loopback addresses of this machine that lead there. */
  Local: string[];
  /** What makes it different in fact. */
  Notes: string[];
}

/** POST /naru/containers/{id}/ports. In `Remove` null or [] means every binding of the port. */
export interface PortChange {
  Add?: PortMap;
  Remove?: PortMap;
}
