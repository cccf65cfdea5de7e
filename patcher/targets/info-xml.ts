/** `<version>` of an app's info.xml; `null` when it has none. */
export function appVersionIn(infoXml: string): string | null {
  return /<version>\s*(\d{1,4}(?:\.\d{1,4}){1,3})\s*<\/version>/.exec(infoXml)?.[1] ?? null;
}
