import { sha512 } from '../vendor/vendor-tree.ts';

/** Lines that only shut a folder, as Nextcloud writes them into `config/.htaccess` and the data directory. */
const SHUTTING = [
  /^#.*$/,
  /^<IfModule !?mod_[a-z0-9_]+\.c>$/i,
  /^<\/IfModule>$/i,
  /^Require all denied$/i,
  /^Order Allow,Deny$/i,
  /^Deny from all$/i,
  /^Satisfy All$/i,
  /^IndexIgnore \*$/i,
];

/** What Nextcloud writes below the marker of its own `.htaccess` (`Setup::updateHtaccess`). */
const FRONT_CONTROLLER = [
  /^ErrorDocument 40[34] \/?[^\s"']*\/$/,
  /^ErrorDocument 40[34] \/?[^\s"']*\/(index\.php\/error\/|core\/templates\/)40[34](\.php)?$/,
  /^Options -MultiViews$/,
  /^RewriteEngine on$/i,
  /^RewriteBase \/\S*$/,
  /^RewriteRule \S+ index\.php \[PT,E=PATH_INFO:\$1\]$/,
  /^RewriteCond %\{REQUEST_(FILENAME|URI)\} !\S+$/,
  /^SetEnv front_controller_active true$/,
  /^DirectorySlash off$/i,
];

/** Numbers of the lines that Nextcloud does not write; such a line can have PHP load a file before every request. */
export function strangeRules(text: string, place: 'root' | 'shut'): number[] {
  const known = place === 'root' ? [...SHUTTING, ...FRONT_CONTROLLER] : SHUTTING;
  return text.split('\n').flatMap((raw, at) => {
    const line = raw.trim();
    return line === '' || known.some((pattern) => pattern.test(line)) ? [] : [at + 1];
  });
}

/** Stays the same as long as the rules do; comments, into which Nextcloud writes a date, do not count. */
export function ruleMark(text: string): string {
  const lines = text.split('\n').map((line) => line.trim());
  return `rules ${sha512(Buffer.from(lines.filter((line) => line !== '' && !line.startsWith('#')).join('\n'), 'latin1'))}`;
}
