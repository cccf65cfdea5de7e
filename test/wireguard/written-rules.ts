/**
 * The rules of AmneziaWG's parameters once more, for what was written to a file: it reads the text by itself and shares nothing with
 * what draws, writes and checks them in the hub, so that one mistake is not made twice.
 */
export function brokenRules(text: string, level: string): string[] {
  const broken: string[] = [];
  const own = new Map<string, string>();
  let section = '';
  for (const line of text.split('\n')) {
    if (line === '') continue;
    if (line.startsWith('[')) {
      section = line;
      continue;
    }
    const at = line.indexOf(' = ');
    if (at < 1 || line.includes('#') || line.trim() !== line) broken.push(`not "Key = Value": ${line}`);
    const key = line.slice(0, at);
    if (key === 'PersistentKeepalive' && /off/i.test(line)) broken.push('a keepalive in words');
    if (section !== '[Interface]') continue;
    if (own.has(key)) broken.push(`${key} twice`);
    own.set(key, line.slice(at + 3));
  }
  const whole = (key: string): number | null => {
    const value = own.get(key);
    if (value === undefined) return null;
    if (!/^\d+$/.test(value)) broken.push(`${key} is no number`);
    return +value;
  };
  const must = (holds: boolean, words: string): void => {
    if (!holds) broken.push(words);
  };
  const names = ['Jc', 'Jmin', 'Jmax', 'S1', 'S2', 'S3', 'S4', 'H1', 'H2', 'H3', 'H4', 'I1', 'I2', 'I3', 'I4', 'I5'];
  const later = ['HeaderProtectionKey', 'ContentPaddingAddition', 'RekeyAfterTime', 'RekeyTimeout', 'RejectAfterTime'];
  const rest = ['KeepaliveTimeout', 'MaxHandshakeAttempts', 'RandomTrailers', 'DisableCookies'];
  const given = [...names, ...later, ...rest].filter((name) => own.has(name));
  const allowed: Record<string, readonly string[]> = {
    off: [],
    low: names.slice(0, 3),
    medium: names.filter((name) => !/^(S3|S4|I)/.test(name)),
    high: names,
    extreme: [...names, ...later, ...rest],
  };
  for (const name of given) must(allowed[level]?.includes(name) === true, `${name} at level ${level}`);
  if (given.length === 0) {
    must(level === 'off', `nothing at level ${level}`);
    return broken;
  }

  const [Jc, Jmin, Jmax] = [whole('Jc'), whole('Jmin'), whole('Jmax')];
  must(Jc !== null && Jc >= 1 && Jc <= 128, 'Jc from 1 to 128');
  must(Jmin !== null && Jmax !== null && Jmin >= 1 && Jmin < Jmax && Jmax <= 1280, 'Jmin below Jmax, at most 1280');

  const [S1, S2, S3, S4] = [whole('S1') ?? 0, whole('S2') ?? 0, whole('S3') ?? 0, whole('S4') ?? 0];
  must(S1 >= 0 && S1 <= 1280 - 148, 'S1 at most 1132');
  must(S2 >= 0 && S2 <= 1280 - 92, 'S2 at most 1188');
  must(S1 + 56 !== S2, 'S1 + 56 is not S2');
  must(S3 <= 64, 'S3 at most 64');
  must(S4 <= 20, 'S4 at most 20');
  must(own.has('S3') || !own.has('S4'), 'S4 not without S3');

  const trailers = own.get('RandomTrailers') === 'on';
  const plainTypes = ['H1', 'H2', 'H3', 'H4'].every((name, at) => own.get(name) === `${at + 1}`);
  if (level === 'high') {
    must(new Set([S1, S2, S3]).size === 3, 'S1, S2, S3 each another');
    must(new Set([S1 + 148, S2 + 92, S3 + 64]).size === 3, 'messages of three lengths');
  }
  if (level !== 'low')
    must(
      ['H1', 'H2', 'H3', 'H4'].every((name) => own.has(name)),
      'all of H1 to H4',
    );
  if (own.has('H1') && !plainTypes) {
    const spans = ['H1', 'H2', 'H3', 'H4'].map((name) => {
      const found = /^(\d+)(?:-(\d+))?$/.exec(own.get(name) ?? '');
      if (found?.[2] !== undefined) must(level === 'high', 'ranges only from 2.0 on');
      return [+(found?.[1] ?? Number.NaN), +(found?.[2] ?? found?.[1] ?? Number.NaN)] as const;
    });
    for (const [from, to] of spans) must(from >= 5 && from <= to && to <= 2_147_483_647, 'types from 5 to 2^31 - 1');
    const sorted = [...spans].sort((a, b) => a[0] - b[0]);
    // neither one number in common nor one right after the other
    for (const [at, [from]] of sorted.entries()) if (at > 0) must(from > (sorted[at - 1]?.[1] ?? 0) + 1, 'types touch');
  }

  let packetText = 0;
  for (const name of ['I1', 'I2', 'I3', 'I4', 'I5']) {
    const packet = own.get(name);
    if (packet === undefined) continue;
    packetText += packet.length;
    const tags = packet.match(/<[^>]*>/g) ?? [];
    must(tags.length > 0 && tags.join('') === packet, `${name} of tags`);
    let bytes = 0;
    for (const tag of tags) {
      const hex = /^<b 0x((?:[0-9a-f]{2})+)>$/i.exec(tag)?.[1];
      const count = /^<(?:r|rd|rc) (\d{1,4})>$/.exec(tag)?.[1];
      must(hex !== undefined || count !== undefined || tag === '<t>', `${name}: ${tag}`);
      bytes += hex === undefined ? +(count ?? 4) : hex.length / 2;
    }
    must(bytes > 0 && bytes <= 1280, `${name} is a packet`);
  }
  must(packetText < 3500, 'packets below 3.5 KB of text');

  const protection = own.get('HeaderProtectionKey');
  if (protection !== undefined) {
    must(/^[A-Za-z0-9+/]{43}=$/.test(protection), 'HeaderProtectionKey of 32 bytes');
    must(Math.min(S1, S2, S3, S4) >= 12, 'S1 to S4 from 12 on with a HeaderProtectionKey');
  }
  if (trailers) {
    must(S1 === S2 && S2 === S3 && S3 === S4, 'S1 to S4 the same with RandomTrailers');
    must(plainTypes, 'H1 to H4 are 1, 2, 3, 4 with RandomTrailers');
    must(protection !== undefined, 'RandomTrailers with a HeaderProtectionKey');
    must((own.get('ContentPaddingAddition') ?? '0') === '0', 'no content padding with RandomTrailers');
  } else if (plainTypes) must(protection !== undefined, 'types of plain WireGuard only where they are hidden');
  for (const name of [
    'RekeyAfterTime',
    'RekeyTimeout',
    'RejectAfterTime',
    'KeepaliveTimeout',
    'MaxHandshakeAttempts',
  ]) {
    const [from = 0, to = from] = (own.get(name) ?? '1').split('-').map(Number);
    must(from >= 1 && from <= to && to <= 65_535, `${name} in 16 bits`);
  }

  const mtu = whole('MTU');
  must(mtu !== null && mtu >= 1280 && mtu <= 1500 - 80 - S4, 'an MTU with room for S4 over IPv6');
  return broken;
}
