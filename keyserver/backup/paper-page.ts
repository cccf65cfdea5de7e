import { sha256 } from '../../platform/encoding.ts';
import { qrSvg } from '../../platform/qr-code.ts';
import type { PaperKey } from './paper.ts';

/** One key with the texts of its codes. */
export interface PaperSection {
  readonly key: PaperKey;
  readonly codes: readonly string[];
}

export interface PaperFacts {
  readonly url: string;
  /** Milliseconds since 1970. */
  readonly madeAt: number;
  readonly isSealed: boolean;
  readonly sections: readonly PaperSection[];
}

/** A page to print, whole in itself: nothing is loaded from anywhere. */
export async function paperPage(facts: PaperFacts): Promise<string> {
  const day = new Date(facts.madeAt).toISOString().slice(0, 10);
  const sections: string[] = [];
  for (const [index, section] of facts.sections.entries()) sections.push(await sectionHtml(section, index + 1));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Latchkey: keys on paper, ${day}</title>
<style>
@page { size: A4; margin: 15mm }
body { font: 10pt/1.45 system-ui, sans-serif; color: #000; background: #fff; max-width: 180mm; margin: 10mm auto }
h1 { font-size: 16pt; margin: 0 0 2mm }
h2 { font-size: 11pt; margin: 0 0 1mm; overflow-wrap: anywhere }
p, ol { margin: 0 0 3mm }
code { font: 8.5pt/1.4 ui-monospace, monospace; overflow-wrap: anywhere }
section { break-before: page }
.codes { display: grid; grid-template-columns: 1fr 1fr; gap: 6mm; margin-top: 4mm }
figure { margin: 0; text-align: center; break-inside: avoid }
figure svg { width: 80mm; height: 80mm; display: block; margin: 0 auto }
figcaption { font-size: 9pt }
table { border-collapse: collapse; width: 100%; margin-bottom: 4mm }
th, td { text-align: left; border-bottom: 0.2mm solid #999; padding: 1mm 2mm 1mm 0; vertical-align: top; font-weight: normal }
th { font-weight: 600 }
@media print { body { margin: 0; max-width: none } }
</style>
</head>
<body>
<h1>Keys on paper</h1>
<p>Made on ${day} by the key server ${escaped(facts.url)}. ${facts.isSealed ? sealedWords : plainWords}</p>
<p>A key on this paper is as Nextcloud kept it: still locked with the <code>secret</code> in that server’s
<code>config/config.php</code>. Whoever wants to read files needs the paper${facts.isSealed ? ', its passphrase' : ''} and that
<code>secret</code>. Keep the <code>secret</code> somewhere else, but keep it: the paper alone is worth nothing.</p>
<table>
<tr><th>No.</th><th>Client</th><th>Key</th><th>Codes</th></tr>
${facts.sections.map(rowHtml).join('\n')}
</table>
<h2>To bring a key back</h2>
<ol>
<li>Make a key server (<code>keyserver init</code>) or take the one you have, and add the client
(<code>keyserver client add</code>).</li>
<li>Scan every code of the key with any reader of QR codes. Each gives one line that begins with <code>LK1:</code>. Put the
lines into a file, in any order.</li>
<li><code>keyserver key import CLIENT KEY --paper FILE --data DIR</code>${facts.isSealed ? '; it asks for the passphrase of this paper' : ''}.
It names a code that is missing.</li>
<li>Compare the SHA-256 it prints with the one beside the codes. Then delete the file.</li>
</ol>
<p>Without Latchkey: the letters behind the last colon, in the order of the numbers, are base32 (RFC 4648) of two bytes of
length, a header in JSON of that length, and ${facts.isSealed ? sealedFormat : 'the key’s bytes'}.</p>
${sections.join('\n')}
</body>
</html>
`;
}

const sealedWords = 'The keys are sealed with a passphrase, which is not on it.';
const plainWords = '<strong>The keys are in plain</strong>: treat this paper as you would treat the key server.';
const sealedFormat =
  'nonce (12 bytes), AES-256-GCM ciphertext and tag (16 bytes). Its key is Argon2id of the passphrase with the numbers in the ' +
  'header; the data authenticated with it are <code>latchkey paper 1|</code> and the header';

function rowHtml({ key, codes }: PaperSection, index: number): string {
  return `<tr><td>${index + 1}</td><td>${escaped(key.client)}</td><td><code>${escaped(key.id)}</code></td><td>${codes.length}</td></tr>`;
}

async function sectionHtml({ key, codes }: PaperSection, number: number): Promise<string> {
  const figures: string[] = [];
  for (const [index, code] of codes.entries()) {
    const svg = await qrSvg(code);
    figures.push(
      `<figure>${svg.trim()}<figcaption>${number}: code ${index + 1} of ${codes.length}</figcaption></figure>`,
    );
  }
  return `<section>
<h2>${number}. ${escaped(key.id)}, of ${escaped(key.client)}</h2>
<p>SHA-256 of its ${key.bytes.length} bytes: <code>${sha256(key.bytes).toString('hex')}</code></p>
<div class="codes">
${figures.join('\n')}
</div>
</section>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
