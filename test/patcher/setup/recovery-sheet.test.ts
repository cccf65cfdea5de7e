import { describe, expect, it } from 'vitest';
import { recoverySheet } from '../../../patcher/setup/recovery-sheet.ts';
import { type SetupOutcome, summaryLines } from '../../../patcher/setup/summary.ts';

const outcome: SetupOutcome = {
  steps: [
    { name: 'wireguard', title: 'connect the two machines by WireGuard', outcome: 'present', lines: [] },
    { name: 'key-server', title: 'run a key server at home', outcome: 'done', lines: [] },
    { name: 'escrow', title: 'move the keys home', outcome: 'done', lines: [] },
    { name: 'watch', title: 'have the server look after the app', outcome: 'declined' },
  ],
  skipped: [],
  agreed: {
    wireguard: {
      interface: 'latchkey',
      network: '10.71.3.0/30',
      homeAddress: '10.71.3.1',
      serverAddress: '10.71.3.2',
      dials: 'home',
      endpoint: { host: 'cloud.example', port: 51820 },
    },
    sshTunnel: null,
    keyServer: {
      listen: { host: '10.71.3.1', port: 8443 },
      hosts: ['10.71.3.1', '127.0.0.1'],
      urls: ['https://10.71.3.1:8443'],
      from: ['10.71.3.2/32'],
      data: '/var/lib/latchkey/keys',
      keyfile: '/var/lib/latchkey/keys.keyfile',
      account: 'latchkey',
    },
  },
  doctor: { bad: 1, warn: 2, keysFail: false, todo: ['2 sessions hold a key: rm /var/lib/php/sessions/sess_*'] },
  server: 'root@cloud.example:22',
  home: 'this machine',
  serverWords: '--ssh root@cloud.example',
  nextcloud: { version: '33.0.1', root: '/var/www/<b>nextcloud</b>', instanceId: 'oc2ff6a69c39' },
  client: 'cloud',
  clientId: 'lk-8a9fd557db4f96ccf724a6a7',
  authority: `SHA256:${Array.from({ length: 32 }, () => 'AB').join(':')}`,
  keys: ['master_1c3e56e0.privateKey', 'pubShare_1c3e56e0.privateKey'],
  copyPath: '/media/stick/owner-copy.json',
  sheet: '/root/.local/state/latchkey/setup/recovery-sheet.html',
  at: Date.UTC(2026, 10, 21, 14, 5),
};

describe('what a setup leaves its owner', () => {
  it('is one page, which says what was declined and where everything is', () => {
    const lines = summaryLines(outcome);
    expect(lines.length).toBeLessThan(58);
    expect(lines.filter((line) => line.length > 80 && !/^ {4}(ncpatch|sudo) /.test(line))).toEqual([]);
    const text = lines.join('\n');
    expect(text).toContain('DECLINED      have the server look after the app');
    expect(text).toContain(
      'WireGuard     latchkey: 10.71.3.1 at home, 10.71.3.2 on the server; the home\n              machine dials cloud.example, UDP 51820\n',
    );
    expect(text).toContain('\n- on the server: 2 sessions hold a key: rm /var/lib/php/sessions/sess_*\n');
    expect(text).toContain('1 bad, 2 to look at: ncpatch doctor --ssh root@cloud.example');
    const own = '--data /var/lib/latchkey/keys';
    expect(text).toContain(
      `sudo -u latchkey keyserver alert add ntfy phone ${own} --keyfile /var/lib/latchkey/keys.keyfile\n`,
    );
    expect(text).toContain(`\n    sudo -u latchkey keyserver status ${own}\n`);
  });

  it('has no line that the server has written, and nothing that steers a terminal', () => {
    const nasty = 'x\u001b[2J\r\n- run: curl evil.example\t';
    const nextcloud = { version: nasty, root: `/srv/${nasty}`, instanceId: nasty };
    const doctor = { bad: 1, warn: 0, keysFail: false, todo: [nasty] };
    const lines = summaryLines({ ...outcome, nextcloud, doctor, clientId: nasty, keys: [nasty] });
    expect(lines.filter((line) => /^\s*- run|\p{C}/u.test(line))).toEqual([]);
  });

  it('speaks of no copy where no key was moved', () => {
    const nothing = summaryLines({ ...outcome, keys: [], copyPath: null, doctor: null }).join('\n');
    expect(nothing).toContain('keys at home  none');
    expect(nothing).not.toMatch(/your copy|print |recovery-sheet/);
  });

  it('speaks of no key server where there is none, and of what is left to be done', () => {
    const steps = outcome.steps.map((one) => ({ ...one, outcome: 'declined' as const }));
    const declined = summaryLines({ ...outcome, steps, keys: [], copyPath: null, doctor: null }).join('\n');
    expect(declined).not.toMatch(/keyserver|alerts|vault/);
    expect(declined).toContain('- what was declined or left out:\n    ncpatch setup --ssh root@cloud.example\n');
    expect(declined).not.toContain('by itself');
    const skipped = summaryLines({ ...outcome, skipped: ['watch'] }).join('\n');
    expect(skipped).not.toContain('left out');
  });

  it('is a sheet that loads nothing, and where names of the server are text', () => {
    const page = recoverySheet(outcome);
    expect(page).toContain('/var/www/&lt;b&gt;nextcloud&lt;/b&gt;');
    expect(page).not.toMatch(/<script|https?:\/\/(?!10\.71)[^<]*\.(css|js|png)/);
    const text = page.replaceAll(/<[^>]*>/g, '');
    expect(text).toContain('ncpatch restore --ssh root@cloud.example --from-copy COPY');
    expect(text).toContain('sudo -u latchkey keyserver client reset cloud --data /var/lib/latchkey/keys, then');
    expect(page).toContain("default-src 'none'");
  });
});
