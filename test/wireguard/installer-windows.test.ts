import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { powershellQuote } from '../../wireguard/installers/quote.ts';
import { type InstallerValues, installerText } from '../../wireguard/installers/render.ts';
import { RULES } from './powershell-rules.ts';
import { PowerShellScript } from './powershell-script.ts';
import { expressionValue, tokens } from './powershell-tokens.ts';

const values: InstallerValues = {
  hubUrl: 'https://hub.example',
  hubPin: '',
  token: 'A'.repeat(43),
  spokeId: '51163722ab72e0cee7b7f10b',
  spokeName: 'office',
  hubName: 'berlin',
  tunnel: 'wg0',
  members: 0,
};
const text = installerText('windows', values);
const script = await PowerShellScript.parse(text);

/** What a careless hand would change, and the rule that sees it. */
const mistakes: readonly (readonly [rule: keyof typeof RULES, was: string, becomes: string])[] = [
  ['is of PowerShell', 'function Write-Help {', 'function Write-Help {{'],
  ['is of PowerShell', "'/qn', '/norestart', 'DO_NOT_LAUNCH=1'", "'/qn', '/norestart', 'DO_NOT_LAUNCH=1"],
  ['is ASCII', 'nothing was changed', 'nothing wasn’t changed'],
  ['has no string in which anything is read as code', "Write-Note ('[#] ' + $What)", 'Write-Note "[#] $What"'],
  ['runs nothing but cmdlets that both PowerShells have', 'Start-Sleep -Milliseconds', 'Start-Sleep -Duration'],
  ['runs nothing but cmdlets that both PowerShells have', 'Join-Path $folder', 'Join-Pfad $folder'],
  ['runs nothing but cmdlets that both PowerShells have', '-UndoWhat (', '-UndoWath ('],
  ['gives its functions no more than they take', 'Get-Field $Asked.Answer', 'Get-Field 1 $Asked.Answer'],
  ['runs blocks of its own alone', '& $Do', '& $What'],
  ['runs blocks of its own alone', '& $Do', '. $Do'],
  ['uses what is known of .NET', '[IO.File]::Delete($msi)', '[IO.File]::Move($msi, $wg)'],
  ['uses what is known of .NET', 'System.Text.UTF8Encoding', 'System.Net.WebClient'],
  ['starts programs in one place', '$architecture = Get-Architecture\n', '$p = [Diagnostics.Process]::Start($msi)\n'],
  ['looks at the exit code of every program', '$Expected -notcontains $code', '$Expected -contains $code'],
  ['looks at the exit code of every program', 'if ($asked.ExitCode -ne 0)', 'if ($asked.Text.Length -eq 0)'],
  ['looks at the exit code of every program', '-Stdin $state.PrivateKey)', '-AnyExit -Stdin $state.PrivateKey)'],
  ['gives no secret to a program, to the screen or to an error', "@('pubkey')", "@('pubkey', $state.PrivateKey)"],
  ['gives no secret to a program, to the screen or to an error', "'[#] POST ' + $uri", "'[#] POST ' + $uri + $json"],
  ['does not leave by exit', 'Write-Help\n        return', 'Write-Help\n        exit 0'],
  ['trusts no certificate without a pin, and nothing without TLS', "'--pinnedpubkey', $HubPin, ", ''],
  [
    'trusts no certificate without a pin, and nothing without TLS',
    '-UseBasicParsing -TimeoutSec 60',
    '-SkipCertificateCheck',
  ],
  ['trusts no certificate without a pin, and nothing without TLS', "'https://download", "'http://download"],
  [
    'notes what takes a change back before it makes it',
    '        Assert-NameFree\n',
    '        Assert-NameFree\n        [IO.File]::Delete($config)\n',
  ],
  ['notes what takes a change back before it makes it', "'/api/spoke/withdraw'", "'/api/spoke/list'"],
  ['notes what takes a change back before it makes it', 'Uninstall-WireGuard\n                [IO', '[IO'],
  ['notes what takes a change back before it makes it', '        Wait-Handshake\n', '        Install-TunnelService\n'],
  ['notes what takes a change back before it makes it', '-Undo {\n            Remove-Tunnel\n        } ', ''],
  [
    'reads every variable that it sets, and sets every one that it reads',
    '$signer = $signature',
    '$singer = $signature',
  ],
  ['reads every variable that it sets, and sets every one that it reads', 'if (-not $AnyExit)', 'if (-not $AnyExits)'],
  ['sets no variable that is PowerShell’s own', '$leaf = ', '$host = '],
  ['fills its formats', "'{0} ended with {1}: {2}'", "'{0} ended with {1}: {3}'"],
  ['fills its formats', '-f $leaf, $Seconds', '-f $leaf'],
];

describe('the installer for windows', () => {
  for (const [name, rule] of Object.entries(RULES)) {
    it(name, () => {
      expect(rule(script)).toEqual([]);
    });
  }

  it('refuses what a careless hand would change, by the rule for it', { timeout: 120_000 }, async () => {
    for (const [rule, was, becomes] of mistakes) {
      const changed = text.replace(was, () => becomes);
      expect(changed, was).not.toBe(text);
      expect(RULES[rule](await PowerShellScript.parse(changed)), `${rule}: ${becomes}`).not.toEqual([]);
    }
    expect(new Set(mistakes.map(([rule]) => rule))).toEqual(new Set(Object.keys(RULES)));
  });
});

/** In single quotes as many write it, which forgets that PowerShell takes typographic quotes for quotes. */
const careless = (value: string): string => `'${value.replaceAll("'", "''")}'`;
const hostile = [
  "o'clock",
  "''",
  '"double"',
  '$(Remove-Item C:\\)',
  '`$x `n',
  "'; Remove-Item C:\\ #",
  'two\nlines',
  'a\r\nb',
  "'@\n@'",
  '"@',
  '# @@values@@',
  '$& $1 $`',
  '{0}',
  '<#',
  '#>',
  '%TEMP%',
  ...['‘', '’', '‚', '‛', '“', '”', '„'].map((quote) => `a${quote}; Remove-Item C:\\ #`),
  // in Windows-1252, as a file without a byte order mark is read, the second byte of this is a quote
  'đ; Remove-Item C:\\ #',
  'Büro 日本 🏢',
  '\u202egnp.exe',
  '\u2028',
  '\u00a0',
  '\ufeff',
];

describe('a value in the installer for windows', () => {
  it('is one expression of literals that says exactly the value', async () => {
    for (const name of hostile) {
      const given = { ...values, spokeName: name, hubName: name };
      const whole = installerText('windows', given);
      const parsed = await PowerShellScript.parse(whole);
      expect([...RULES['is ASCII'](parsed), ...RULES['is of PowerShell'](parsed)], name).toEqual([]);
      // the rest of it is the same for every name, as the next test has it
      const lines = await PowerShellScript.parse(
        whole.slice(whole.indexOf('$HubUrl ='), whole.indexOf('\n\n    $state')),
      );
      expect(lines.commands(), name).toEqual([]);
      const assignments = lines.all('assignment_expression');
      expect(assignments.map(({ text: line }) => line).join('\n'), name).toBe(lines.text);
      const read = assignments.map(({ text: line }) => {
        const [, variable, expression] = /^\$([A-Za-z]+) = (.*)$/s.exec(line) ?? [];
        return [variable, expressionValue(expression ?? '')];
      });
      expect(Object.fromEntries(read)).toEqual({
        HubUrl: given.hubUrl,
        HubPin: given.hubPin,
        Token: given.token,
        SpokeId: given.spokeId,
        SpokeName: name,
        HubName: name,
        Tunnel: given.tunnel,
        Members: '0',
      });
    }
  });

  it('leaves every other line of the script as it is', () => {
    const ours = /^\$(SpokeName|HubName) = .*$/gm;
    for (const name of hostile) {
      const shown = installerText('windows', { ...values, spokeName: name, hubName: name });
      expect(shown.replace(ours, '')).toBe(text.replace(ours, ''));
    }
  });

  it('is the value again, whatever text it is', () => {
    const letters = [...hostile.flatMap((one) => [...one]), '\u0001', '\u007f', '\u0080', '\ud7ff', '\ue000', '\uffff'];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...letters), { maxLength: 12 }), (parts) => {
        const value = parts.join('');
        expect(expressionValue(powershellQuote(value))).toBe(value);
      }),
      { numRuns: 200 },
    );
  });

  it('is said in the same words whatever code page the file is read in', () => {
    for (const value of hostile) {
      const bytes = Buffer.from(powershellQuote(value), 'utf8');
      const pages = ['windows-1252', 'windows-1251', 'windows-1250', 'gbk', 'shift_jis', 'euc-kr', 'utf-8'];
      expect(new Set(pages.map((page) => new TextDecoder(page).decode(bytes))).size, value).toBe(1);
    }
  });

  it('is not careless about quotes: what the check is for', () => {
    const page = (written: string): string => new TextDecoder('windows-1252').decode(Buffer.from(written, 'utf8'));
    for (const quote of ['‘', '’', '‚', '‛']) {
      expect(tokens(careless(`a${quote}; Remove-Item C:\\ #`)).map(({ kind }) => kind)).toContain('other');
      expect(() => expressionValue(careless(`a${quote}; Remove-Item C:\\ #`))).toThrow();
    }
    expect(tokens(careless('đ')).map(({ kind }) => kind)).toEqual(['string']);
    expect(() => expressionValue(page(careless('đ; Remove-Item C:\\ #')))).toThrow();
  });

  it('is refused where a script could not hold it', () => {
    for (const value of ['\0', 'a\0b', '\ud800', 'x\udc00']) expect(() => powershellQuote(value)).toThrow(TypeError);
  });
});
