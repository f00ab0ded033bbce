/** What the machine tells its host, one JSON object a line. */

export type Report =
  | { readonly kind: "note"; readonly text: string }
  | {
      readonly kind: "check";
      readonly name: string;
      readonly ms: number;
      /** What was measured, for people to read. */
      readonly figures: string;
      readonly error?: string;
    }
  | { readonly kind: "end" };

export const report = (line: Report): void => console.log(JSON.stringify(line));
