import { xml } from './service-text.ts';

/** What launchd.plist(5) is made of: text, whole numbers, yes and no, lists of text, dictionaries. */
export type PropertyValue = string | number | boolean | readonly string[] | { readonly [key: string]: PropertyValue };

/** A property list as launchd reads it; `comment` must hold no `--`. */
export function propertyList(entries: { readonly [key: string]: PropertyValue }, comment?: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
${comment === undefined ? '' : `<!-- ${comment} -->\n`}<plist version="1.0">
${spelled(entries, '')}
</plist>
`;
}

function spelled(value: PropertyValue, indent: string): string {
  if (typeof value === 'string') return `${indent}<string>${xml(value)}</string>`;
  if (typeof value === 'number') return `${indent}<integer>${value}</integer>`;
  if (typeof value === 'boolean') return `${indent}<${value}/>`;
  const deeper = `${indent}  `;
  if (isList(value))
    return [`${indent}<array>`, ...value.map((one) => spelled(one, deeper)), `${indent}</array>`].join('\n');
  const members = Object.entries(value).flatMap(([key, one]) => [
    `${deeper}<key>${xml(key)}</key>`,
    spelled(one, deeper),
  ]);
  return [`${indent}<dict>`, ...members, `${indent}</dict>`].join('\n');
}

function isList(value: PropertyValue): value is readonly string[] {
  return Array.isArray(value);
}
