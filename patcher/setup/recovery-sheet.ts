import { type Html, html } from '../../platform/html.ts';
import { inHalves, type SetupOutcome } from './summary.ts';

const STYLE = `
@page { size: A4; margin: 16mm }
body { font: 10.5pt/1.45 system-ui, sans-serif; color: #000; background: #fff; max-width: 178mm; margin: 10mm auto }
h1 { font-size: 17pt; margin: 0 0 1mm }
h2 { font-size: 12pt; margin: 6mm 0 1mm; break-after: avoid }
p, ol { margin: 0 0 2mm }
ol { padding-left: 6mm }
section { break-inside: avoid }
code { font: 9pt/1.4 ui-monospace, monospace; overflow-wrap: anywhere }
code span { display: inline-block; max-width: 100% }
table { border-collapse: collapse; table-layout: fixed; width: 100%; margin: 3mm 0 }
th, td { text-align: left; border-bottom: 0.2mm solid #999; padding: 1.2mm 3mm 1.2mm 0; vertical-align: top; font-weight: normal; overflow-wrap: anywhere }
th { width: 38mm; font-weight: 600 }
.line { display: block; border-bottom: 0.3mm solid #000; height: 9mm }
@media print { body { margin: 0; max-width: none } }
`;

/** Pure: what its owner needs when one of the two machines is gone, as a page to print. No secret is on it. */
export function recoverySheet(outcome: SetupOutcome): string {
  const { agreed, nextcloud, server, home, client, clientId, authority, copyPath, keys } = outcome;
  const { data, keyfile, urls } = agreed.keyServer;
  const copy = copyPath ?? 'none was made by this setup';
  const rows: [string, string][] = [
    ['Nextcloud', `${nextcloud.version}, ${nextcloud.root} on ${server}, instance ${nextcloud.instanceId}`],
    ['Key server', `${urls.join(', ')} on ${home}`],
    ['Its data', data],
    ['What opens its vault', keyfile],
    ['Client', `${client}${clientId === null ? '' : `, ${clientId}`}`],
    ['Its authority', authority === null ? 'unknown' : inHalves(authority)],
    ['Keys at home', keys.length === 0 ? 'none' : keys.join(', ')],
    ['Owner’s copy', copy],
  ];
  const page = html`<h1>If something happens to your keys</h1>
<p>Latchkey, ${new Date(outcome.at).toISOString().slice(0, 10)}. Print it, and keep it away from both machines. It holds no secret.</p>
<table>${rows.map(([name, text]) => html`<tr><th>${name}</th><td>${text}</td></tr>`)}</table>
<p>Where I keep the owner’s copy: <span class="line"></span></p>
<p>Where I keep its passphrase: <span class="line"></span></p>
<p>Where I keep a backup of Nextcloud’s <code>config/config.php</code> (the <code>secret</code> in it is the other half): <span class="line"></span></p>
${situations(outcome).map(
  ({ title, steps }) => html`<section><h2>${title}</h2><ol>${steps.map((one) => html`<li>${one}</li>`)}</ol></section>`,
)}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Latchkey: recovery sheet</title>
<style>${STYLE}</style>
</head>
<body>
${page.text}
</body>
</html>
`;
}

/** It is typed from paper: no line ends within an option. */
function command(words: string): Html {
  const [first = '', ...rest] = words.split(' ');
  return html`<code><span>${first}</span>${rest.map((word) => html` <span>${word}</span>`)}</code>`;
}

interface Situation {
  readonly title: string;
  readonly steps: readonly (string | Html)[];
}

function situations({ serverWords: server, client, agreed }: SetupOutcome): readonly Situation[] {
  const { data, urls, account } = agreed.keyServer;
  const keyserver = `sudo -u ${account} keyserver`;
  const url = urls[0] ?? '';
  return [
    {
      title: 'The machine at home is broken, stolen or gone',
      steps: [
        html`Files open for up to a day from what is cached. Within that day, or after it, bring the keys back to the server’s disk: ${command(`ncpatch restore ${server} --from-copy COPY`)}. It asks for the passphrase. It needs nothing of the machine at home.`,
        html`Stolen: whoever has it has keys that are still locked with Nextcloud’s <code>secret</code>. Change nothing in a hurry; keep the server’s disk to yourself.`,
        html`With a new machine: a backup (${command('keyserver restore')}) brings the old key server back; without one, ${command(`ncpatch teardown ${server}`)}, then ${command('ncpatch setup')} again.`,
      ],
    },
    {
      title: 'The server was restored from a backup, or moved by its company',
      steps: [
        html`It asks with credentials of the past, is taken for a copy, and is locked: that is on purpose.`,
        html`When you know that it was you: at home ${command(`${keyserver} client reset ${client} --data ${data}`)}, then ${command(`ncpatch enroll ${server} --replace --url ${url} --ca CA.PEM`)} with the code that it prints; CA.PEM is <code>ca.pem</code> of the key server’s data. The keys stay at home.`,
      ],
    },
    {
      title: 'An alert says that there are two servers, and it was not you',
      steps: [
        html`At home: ${command(`${keyserver} kill --data ${data}`)} stops all releases at once. Look at who asked: ${command(`${keyserver} audit tail --data ${data}`)}.`,
        html`Have the server looked at before it gets a key again: ${command(`ncpatch audit ${server}`)}.`,
      ],
    },
    {
      title: 'Nextcloud says 503, or files do not open',
      steps: [
        html`${command(`ncpatch doctor ${server}`)} tells on one page what is not as it should be, and the command that mends it.`,
        html`After an upgrade of Nextcloud: ${command(`ncpatch apply ${server}`)}.`,
      ],
    },
    {
      title: 'Both machines are gone',
      steps: [
        html`A backup of Nextcloud’s data and <code>config.php</code>, the owner’s copy and its passphrase are enough: set up Nextcloud from the backup, then ${command('ncpatch restore --local --from-copy COPY')}.`,
      ],
    },
  ];
}
