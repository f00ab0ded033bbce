/** Settings that the runtime reads from the environment when a process begins. */

/** No look over the heap by a timer: see daemon/quiet-runtime.ts. */
export const WITHOUT_COLLECTOR_TIMER = { name: "BUN_GC_TIMER_DISABLE", value: "1" } as const;
