/** The longest name of a tunnel that Linux and Android take. */
const MOST = 15;

/** Names that Windows keeps for its devices, whatever comes after a dot. */
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

/**
 * Pure: `NAME.conf` for a device of any name. Apps and wg-quick take the tunnel's name from the file's, and refuse it when it has other
 * characters than these: letters lose their accents, everything else becomes `-`.
 */
export function configFileName(deviceName: string): string {
  const plain = deviceName
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/[^a-zA-Z0-9_=+.-]+/g, '-');
  const name = trimmed(trimmed(plain).slice(0, MOST));
  if (name === '') return 'device.conf';
  return `${RESERVED.test(name) ? trimmed(`wg-${name}`.slice(0, MOST)) : name}.conf`;
}

/** A dot in front hides a file, and behind is lost on Windows; a dash in front is an option. */
function trimmed(name: string): string {
  return name.replace(/^[-.]+|[-.]+$/g, '');
}
