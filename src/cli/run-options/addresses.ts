/** IP addresses and paths without node:net and node:path: they cost milliseconds at the start. */

export const isIPv4 = (text: string): boolean =>
  /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/.test(text);

export const isIPv6 = (text: string): boolean =>
  /^[0-9a-fA-F:.]+$/.test(text) && text.includes(":") && URL.canParse(`http://[${text}]/`);

export const isIP = (text: string): boolean => isIPv4(text) || isIPv6(text);

/** `path` from the working folder, without "." and "..". */
export const absolutePath = (path: string): string => {
  const whole = path.startsWith("/") ? path : `${process.cwd()}/${path}`;
  const parts: string[] = [];
  for (const part of whole.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
};
