/** What a failed `fetch` says, without the hints that its runtime gives to programmers. */
export const fetchReason = (error: unknown): string => {
  const said = error instanceof Error ? error.message : String(error);
  const reason = said.replace(
    / fetching "[^"]*"(?=\.|$)|\.? For more information, pass .*$| Is the computer able to access the url\?/gs,
    "",
  );
  return reason.replace(/\.$/, "") || said;
};
