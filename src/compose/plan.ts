/** A plan as text: what would be done, and why. */
import type { Operation, Plan } from "#compose/compose.ts";
import { containerName } from "#compose/names.ts";
import type { Model } from "#spec/compose/compose.ts";

const SIGNS: Readonly<Record<Operation["kind"], string>> = {
  pull: "↓",
  build: "*",
  "create-network": "+",
  "remove-network": "-",
  "create-volume": "+",
  "remove-volume": "-",
  initialize: ">",
  create: "+",
  start: ">",
  restart: "~",
  stop: "-",
  remove: "-",
  await: "?",
  rename: "~",
  "remove-image": "-",
};

const subjectOf = (operation: Operation, model: Model): string => {
  const own = (service: string, number: number): string =>
    containerName(model.name, service, model.services[service], number);
  switch (operation.kind) {
    case "pull":
    case "build":
    case "remove-image":
      return `image ${operation.image}`;
    case "create-network":
      return `network ${model.networks?.[operation.key]?.name ?? operation.key}`;
    case "create-volume":
      return `volume ${model.volumes?.[operation.key]?.name ?? operation.key}`;
    case "remove-network":
      return `network ${operation.name}`;
    case "remove-volume":
      return `volume ${operation.name}`;
    case "initialize":
      return `service ${operation.service}`;
    case "create":
      return `container ${own(operation.service, operation.number)}`;
    case "start":
      return `container ${operation.container?.name ?? own(operation.service, operation.number)}`;
    case "await":
      return `service ${operation.service}`;
    case "restart":
    case "stop":
    case "remove":
    case "rename":
      return `container ${operation.container.name}`;
  }
};

const CONDITION = {
  service_started: "runs",
  service_healthy: "is healthy",
  service_completed_successfully: "has done its work",
} as const;

const verbOf = (operation: Operation): string => {
  if (operation.kind === "create" && operation.replaces !== undefined) {
    return operation.isRolling ? "replace without a gap" : "recreate";
  }
  if (operation.kind === "await") return `wait until it ${CONDITION[operation.condition]}`;
  return operation.kind.replace(/-.*$/, "");
};

/** One line an operation: sign, subject, what, why. Empty when there is nothing to do. */
export const planLines = (plan: Plan, model: Model): string[] => {
  const rows = plan.operations.map((operation) => {
    const isReplacing = operation.kind === "create" && operation.replaces !== undefined;
    return [
      isReplacing ? "±" : SIGNS[operation.kind],
      subjectOf(operation, model),
      verbOf(operation),
      operation.reason,
    ] as const;
  });
  const width = Math.max(0, ...rows.map((row) => row[1].length));
  const verbWidth = Math.max(0, ...rows.map((row) => row[2].length));
  return rows.map(
    ([sign, subject, verb, reason]) =>
      `${sign} ${subject.padEnd(width)}  ${verb.padEnd(verbWidth)}  ${reason}`,
  );
};

/** "3 to create, 1 to recreate, 2 to start". */
export const planSummary = (plan: Plan): string => {
  const counts = new Map<string, number>();
  for (const operation of plan.operations) {
    if (operation.kind === "await") continue;
    const verb = verbOf(operation);
    counts.set(verb, (counts.get(verb) ?? 0) + 1);
  }
  if (counts.size === 0) return "nothing to do";
  return [...counts].map(([verb, count]) => `${String(count)} to ${verb}`).join(", ");
};
