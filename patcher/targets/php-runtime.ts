/** Where one PHP of a machine keeps its programs. */
export interface PhpPlace {
  /** `8.2` where the path tells it, else `null`. */
  readonly version: string | null;
  /** Command-line programs to try, the likeliest first. */
  readonly cli: readonly string[];
  /** FPM programs to try; `-i` on one of them tells the settings its pools start from. */
  readonly fpm: readonly string[];
}

/** Which PHP reads this pool file, by the layouts of the distributions and panels; `null` for an unknown layout. */
export function phpOfPoolFile(file: string): PhpPlace | null {
  const rules: readonly [RegExp, (part: string) => PhpPlace][] = [
    [/^\/etc\/php\/(\d\.\d)\/fpm\//, (v) => place(v, [`/usr/bin/php${v}`], [`/usr/sbin/php-fpm${v}`])],
    [/^\/etc\/opt\/remi\/php(\d\d)\//, (v) => collection(dotted(v), `/opt/remi/php${v}/root/usr`)],
    [/^\/opt\/cpanel\/ea-php(\d\d)\/root\/etc\//, (v) => collection(dotted(v), `/opt/cpanel/ea-php${v}/root/usr`)],
    [/^\/opt\/plesk\/php\/(\d\.\d)\/etc\//, (v) => collection(v, `/opt/plesk/php/${v}`)],
    [/^\/etc\/(php-legacy)\//, () => place(null, ['/usr/bin/php-legacy'], ['/usr/bin/php-fpm-legacy'])],
    [/^\/etc\/php(\d)\/fpm\//, (v) => place(null, [`/usr/bin/php${v}`, '/usr/bin/php'], ['/usr/sbin/php-fpm'])],
    [/^\/etc\/(php)\/php-fpm\.d\//, () => place(null, ['/usr/bin/php'], ['/usr/bin/php-fpm'])],
    [/^\/etc\/(php-fpm)\.d\//, () => place(null, ['/usr/bin/php'], ['/usr/sbin/php-fpm'])],
    [/^\/usr\/local\/etc\/(php-fpm)\.d\//, () => place(null, ['/usr/local/bin/php'], ['/usr/local/sbin/php-fpm'])],
  ];
  for (const [pattern, make] of rules) {
    const found = pattern.exec(file);
    if (found !== null) return make(found[1] ?? '');
  }
  return null;
}

function place(version: string | null, cli: readonly string[], fpm: readonly string[]): PhpPlace {
  return { version, cli, fpm };
}

function collection(version: string, prefix: string): PhpPlace {
  return place(version, [`${prefix}/bin/php`], [`${prefix}/sbin/php-fpm`]);
}

function dotted(digits: string): string {
  return `${digits.charAt(0)}.${digits.slice(1)}`;
}

/** The PHP that an Apache loads as a module, from its `LoadModule` lines; `null` when it loads none. */
export function phpModuleOf(apacheText: string): { readonly library: string; readonly version: string | null } | null {
  const found = /^\s*LoadModule\s+php\w*_module\s+"?([^\s"]*libphp(\d(?:\.\d)?)?\.so)/im.exec(apacheText);
  if (found === null) return null;
  const version = found[2] ?? null;
  return { library: found[1] ?? '', version: version?.includes('.') === true ? version : null };
}

/** What `php -i` (or `php-fpm -i`) says: version, loaded settings file, and each setting's value in force. */
export interface PhpInfo {
  readonly version: string;
  readonly iniFile: string | null;
  readonly settings: ReadonlyMap<string, string>;
}

/** Reads the text form of phpinfo; `null` when it is none. `no value` is the empty string. */
export function parsePhpInfo(text: string): PhpInfo | null {
  const version = /^PHP Version => (\d+\.\d+\.\d+\S*)/m.exec(text)?.[1];
  if (version === undefined) return null;
  const ini = /^Loaded Configuration File => (\/.*)$/m.exec(text)?.[1] ?? null;
  const settings = new Map<string, string>();
  for (const [, name = '', value = ''] of text.matchAll(/^([a-z][a-z0-9_.]*) => (.*?) => .*$/gm)) {
    if (!settings.has(name)) settings.set(name, value === 'no value' ? '' : value);
  }
  return { version, iniFile: ini, settings };
}

/** Reads a flag as PHP's ini reader does. */
export function isOn(value: string | undefined): boolean {
  return value !== undefined && /^(1|on|yes|true)$/i.test(value.trim());
}
