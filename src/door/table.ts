/** Who serves a request: host, then the longest path that fits; of the ready ones the least busy. */
import type { DoorRoute, DoorTarget } from "#door/door.ts";

const fits = (path: string, prefix: string): boolean =>
  prefix === "/" || path === prefix || path.startsWith(`${prefix}/`);

/** "Shop.naru.localhost:8080" → "shop.naru.localhost". */
export const hostOf = (field: string): string =>
  field.toLowerCase().replace(/:\d*$/, "").replace(/\.$/, "");

export const addressOf = ({ ip = "", port = 0 }: DoorTarget): string => `${ip}:${port}`;

export class DoorTable {
  #byHost = new Map<string, DoorRoute[]>();
  /** Requests under way, by address. */
  readonly #busy = new Map<string, number>();
  #turn = 0;

  get routes(): readonly DoorRoute[] {
    return [...this.#byHost.values()].flat();
  }

  set(routes: readonly DoorRoute[]): void {
    this.#byHost = new Map();
    for (const route of routes) {
      const known = this.#byHost.get(route.host);
      if (known === undefined) this.#byHost.set(route.host, [route]);
      else known.push(route);
    }
    for (const list of this.#byHost.values()) list.sort((a, b) => b.path.length - a.path.length);
  }

  has(host: string): boolean {
    return this.#byHost.has(host);
  }

  find(host: string, path: string): DoorRoute | undefined {
    return this.#byHost.get(host)?.find((route) => fits(path, route.path));
  }

  /** Ready targets, the one to try first at the front; equals take turns. */
  order(route: DoorRoute): DoorTarget[] {
    const ready = route.targets.filter(({ state }) => state === "ready");
    this.#turn += 1;
    const start = this.#turn % Math.max(1, ready.length);
    const turned = [...ready.slice(start), ...ready.slice(0, start)];
    return turned.toSorted((a, b) => this.#load(a) - this.#load(b));
  }

  /** Until the returned function is called the target counts as busy by one more. */
  begin(target: DoorTarget): () => void {
    const address = addressOf(target);
    this.#busy.set(address, this.#load(target) + 1);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      const left = this.#load(target) - 1;
      if (left > 0) this.#busy.set(address, left);
      else this.#busy.delete(address);
    };
  }

  #load(target: DoorTarget): number {
    return this.#busy.get(addressOf(target)) ?? 0;
  }
}
