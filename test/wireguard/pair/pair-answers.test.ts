import { describe, expect, test } from 'vitest';
import { parseChange, parseKeyAnswer, parseLook, refusalIn } from '../../../wireguard/pair/pair-answers.ts';

const KEY = 'HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=';
const LOOK = `tools yes
conf agreed
draft no
public-key ${KEY}
peer-key ${KEY}
interface ours
boot yes
init systemd
keeper yes
keeps systemd
firewall ${''}
guard in-force
handshake 12
`;

describe('what one end answers', () => {
  test('is read', () => {
    expect(parseLook(LOOK)).toEqual({
      tools: true,
      conf: 'agreed',
      draft: false,
      publicKey: KEY,
      peerKey: KEY,
      interface: 'ours',
      boot: true,
      init: 'systemd',
      keeper: true,
      keeps: 'systemd',
      firewall: null,
      guard: 'in-force',
      handshakeAge: 12,
    });
    for (const word of ['never', 'none']) {
      expect(parseLook(LOOK.replace('handshake 12', `handshake ${word}`)).handshakeAge).toBe(null);
    }
    expect(parseLook(LOOK.replace(/^p.*\n/gm, ''))).toMatchObject({ publicKey: null, peerKey: null });
    expect(parseLook(LOOK.replace('firewall ', 'firewall ufw'))).toMatchObject({ firewall: 'ufw' });
    expect(parseKeyAnswer(`public-key ${KEY}\n`)).toBe(KEY);
    expect(parseChange('changed yes\nstays a b\n')).toEqual({ changed: true, stays: ['a', 'b'] });
    expect(parseChange('changed no\n')).toEqual({ changed: false, stays: [] });
    expect(refusalIn('refused conf_foreign\n')).toBe('conf_foreign');
    expect([refusalIn('changed no\n'), refusalIn('refused A B\n')]).toEqual([null, null]);
  });

  test.each([
    ['nothing', ''],
    ['a word that is neither yes nor no', LOOK.replace('tools yes', 'tools maybe')],
    ['a state that there is not', LOOK.replace('agreed', 'fine')],
    ['a key that is none', LOOK.replace(KEY, 'A'.repeat(44))],
    ['an age that is none', LOOK.replace('handshake 12', 'handshake -1')],
    ['half of it', LOOK.slice(0, LOOK.indexOf('keeps'))],
    ['what a shell greets with', `Welcome!\n${LOOK.replace('conf agreed\n', '')}`],
  ])('is refused when it is %s', (_, text) => {
    expect(() => parseLook(text)).toThrow(expect.objectContaining({ code: 'pair_answer' }));
    expect(() => parseKeyAnswer(text.replace(/^public-key .*$/m, 'public-key x'))).toThrow('not understood');
    expect(() => parseChange(text)).toThrow('not understood');
  });
});
