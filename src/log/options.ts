export const validateLogOptions = (
  _type: string,
  _config: Readonly<Record<string, string>>,
): void => undefined;
