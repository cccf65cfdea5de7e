import type { Case } from './case.ts';

/** `config.php` and the files beside it that are read with it. */
export function judgeSettings({ evidence, notes }: Case): void {
  const { config, settings, root } = evidence;
  if (config === null) {
    const words = 'there is no config.php for it: apps paths and the data directory are not known';
    notes.remark('not_installed', root, words);
    return;
  }
  if (settings === null) {
    const words = 'the settings could not be read: use --sudo';
    notes.find('unreadable', 'config', config.path, { words, mark: null });
    return;
  }
  for (const [name, { lines, hash }] of settings.code) {
    const path = `${config.path}/${name}`;
    if (lines.length === 0) {
      if (name !== 'config.php')
        notes.remark('settings_file', path, 'read beside config.php; it holds plain values only');
    } else {
      const shown = `${lines.slice(0, 8).join(', ')}${lines.length > 8 ? ', …' : ''}`;
      const words = `runs with every request, and line ${shown} is more than plain values`;
      const kind = name === 'config.php' ? 'settings_code' : 'foreign_code';
      notes.find(kind, 'config', path, { words, mark: hash === '' ? null : hash });
    }
  }
  if (settings.unreadable > 0) {
    const words =
      'a path in it is put together by code and could not be read: an apps path or the data directory may be missing here';
    notes.remark('not_looked_at', config.path, words);
  }
}
