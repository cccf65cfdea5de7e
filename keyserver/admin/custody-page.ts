import { type Html, html } from '../../platform/html.ts';
import type { HealthStatus } from '../health.ts';
import type { AlertLine, ClientState, CustodyState } from './custody-state.ts';
import { type RangeName, rangeNames, ranges } from './range.ts';
import { type TimelineFacts, timelineLegend, timelinePicture } from './timeline-picture.ts';
import { agoMark, counted, lengthWords, timeMark } from './words.ts';

/** Pictures on one page; more clients than that are a list, each with a page of its own. */
export const picturesShown = 24;

export interface CustodyView {
  readonly state: CustodyState;
  readonly health: HealthStatus;
  readonly killFile: boolean;
  readonly startedAt: number;
  readonly range: RangeName;
  readonly timelineOf: (client: string) => TimelineFacts;
  /** False while older records are still being read. */
  readonly isWhole: boolean;
  readonly now: number;
}

const healthWords: Readonly<Record<HealthStatus, string>> = {
  ok: 'Releasing',
  killed: 'Killed',
  sealed: 'Sealed',
  degraded: 'Degraded',
};

/** State at a glance, each client with its picture, the last alerts, the kill switch. */
export function custodyContent(view: CustodyView): Html {
  const { state, health, now } = view;
  const clients = inOrder(state.clients, now);
  return html`${killNotice(view)}
<section class="glance" aria-label="At a glance">
${glance('State', html`<span class="state ${health === 'ok' ? 'good' : 'bad'}">${healthWords[health]}</span>`)}
${glance('Up for', html`${lengthWords(now - view.startedAt)}`)}
${glance('Audit log', html`${counted(state.audit.seq, 'record')}<span class="quiet"> head <code>${state.audit.hash.slice(0, 12)}</code></span>`)}
${glance('Signed', state.signature === null ? html`never` : html`${lengthWords(now - state.signature.time)} ago<span class="quiet"> up to record ${state.signature.seq}</span>`)}
${glance('Certificate', daysLeft(state.serverCertificateEnd, now))}
${glance('Authority', daysLeft(state.authorityEnd, now))}
${glance('Last backup', state.backupAt === null ? html`none known` : html`${lengthWords(now - state.backupAt)} ago`)}
</section>
<div class="section-head"><h2>Clients</h2>${clients.length > 0 && rangeTabs(view.range)}</div>
${
  clients.length === 0
    ? noClients()
    : html`${timelineLegend()}${!view.isWhole && stillReading()}
<div class="clients">${clients.slice(0, picturesShown).map((client, index) => clientCard(client, view, `picture-${index}`))}</div>
${clients.length > picturesShown && html`<h3>And ${clients.length - picturesShown} more</h3><ul class="card plain">${clients.slice(picturesShown).map((client) => clientLine(client, now))}</ul>`}`
}
<h2>Last alerts</h2>
${alertList(state.alerts)}
<h2>Kill switch</h2>
<div class="card">${killSwitch(view)}</div>`;
}

const urgency = { bad: 0, warn: 1, good: 2 } as const;

/** Those that need somebody first, then by name. */
export function inOrder(clients: readonly ClientState[], now: number): readonly ClientState[] {
  const rank = (client: ClientState): number => urgency[condition(client, now).tone];
  return [...clients].sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
}

/** The one word about a client, and how it is meant. */
export function condition(
  client: ClientState,
  now: number,
): { readonly words: string; readonly tone: 'good' | 'warn' | 'bad' } {
  if (client.state === 'locked') return { words: 'locked: fork', tone: 'bad' };
  if (client.state === 'revoked') return { words: 'revoked', tone: 'warn' };
  if (client.killedAt !== null) return { words: 'killed', tone: 'bad' };
  if (client.state === 'new') return { words: 'waits for its code', tone: 'warn' };
  if (client.policy === null) return { words: 'policy damaged', tone: 'bad' };
  if (client.heardAt === null) return { words: 'never heard', tone: 'warn' };
  if (now - client.heardAt > client.patience)
    return { words: `silent for ${lengthWords(now - client.heardAt)}`, tone: 'warn' };
  if (client.absence !== null) return { words: 'was away', tone: 'warn' };
  return { words: 'heard', tone: 'good' };
}

function killNotice({ state, killFile, now }: CustodyView): Html | null {
  if (state.killedSince === null && !killFile) return null;
  const why = state.killReason === null || state.killReason === '' ? null : html` Reason given: ${state.killReason}`;
  const since = state.killedSince === null ? null : html`<p>Thrown ${agoMark(state.killedSince, now)}.${why}</p>`;
  return html`<div class="notice bad">${since}${killFile && html`<p>A file named KILL lies in the data directory.</p>`}</div>`;
}

function glance(label: string, value: Html): Html {
  return html`<div><span class="label">${label}</span><span class="value">${value}</span></div>`;
}

function daysLeft(end: number | null, now: number): Html {
  if (end === null) return html`none`;
  const days = Math.floor((end - now) / 86_400_000);
  return days < 30 ? html`<span class="state warn">${counted(days, 'day')} left</span>` : html`${days} days left`;
}

function rangeTabs(range: RangeName): Html {
  const tab = (name: RangeName): Html =>
    html`<a href="/admin/custody/${name}" aria-current="${name === range ? 'page' : 'false'}">${ranges[name].words}</a>`;
  return html`<nav class="tabs" aria-label="Time shown">${rangeNames.map(tab)}</nav>`;
}

function stillReading(): Html {
  return html`<p class="notice warn">The audit log is long and is still being read: older times look emptier than they were. Load this page again in a moment.</p>`;
}

function noClients(): Html {
  return html`<div class="card"><p>No clients yet. On the machine of the key server:</p><p><code>keyserver client add NAME --from CIDR</code></p></div>`;
}

function clientCard(client: ClientState, view: CustodyView, id: string): Html {
  const { words, tone } = condition(client, view.now);
  return html`<article class="card">
<div class="card-head"><h3><a href="/admin/clients/${client.name}">${client.name}</a></h3><span class="state ${tone}">${words}</span></div>
${clientFacts(client, view.now)}
${timelinePicture(view.timelineOf(client.id), view.range, view.now, id)}
</article>`;
}

export function clientFacts(client: ClientState, now: number): Html {
  return html`<dl class="facts">
<dt>Released</dt><dd>${agoMark(client.releasedAt, now)}</dd>
<dt>Heard</dt><dd>${agoMark(client.heardAt, now)}${client.source !== null && html` <span class="quiet">from <code>${client.source}</code></span>`}</dd>
${client.absence !== null && html`<dt>Absence</dt><dd>${lengthWords(client.absence.until - client.absence.since)}, not cleared <span class="quiet">from ${timeMark(client.absence.since)}${client.absence.kind === 'own' && ', while the key server was away'}</span></dd>`}
<dt>Policy</dt><dd>${client.policy ?? 'cannot be read'}</dd>
</dl>`;
}

function clientLine(client: ClientState, now: number): Html {
  const { words, tone } = condition(client, now);
  return html`<li><a href="/admin/clients/${client.name}">${client.name}</a> <span class="state ${tone}">${words}</span></li>`;
}

const tones = { critical: 'bad', warning: 'warn', info: 'good' } as const;

function alertList(alerts: readonly AlertLine[]): Html {
  if (alerts.length === 0) return html`<div class="card"><p>None so far.</p></div>`;
  return html`<div class="card"><ul class="plain alerts">${alerts.map(alertLine)}</ul></div>`;
}

function alertLine({ at, repeats, texts }: AlertLine): Html {
  return html`<li><span class="state ${tones[texts.severity]}">${texts.severity}</span> <strong>${texts.title}</strong>
<p class="quiet">${timeMark(at)}${repeats > 0 && `, and ${counted(repeats, 'more time')} since`}</p>
<details><summary>What happened, what to do</summary><p>${texts.happened}</p><p>${texts.done}</p><p>${texts.todo}</p></details></li>`;
}

function killSwitch({ state, killFile }: CustodyView): Html {
  if (state.killedSince !== null) {
    return html`<p>Nothing is released to anybody. Taking it back needs your password and a code${killFile && ', and removing the file KILL on the machine'}.</p><p><a class="button" href="/admin/revive">Release again…</a></p>`;
  }
  return html`<p>Stops all releases at once and tells every client to empty its cache. From then on encrypted files cannot be opened there, until it is taken back.</p><p><a class="button danger" href="/admin/kill">Stop all releases…</a></p>`;
}

/** One client with its day, its week and its month. */
export function clientContent(client: ClientState, facts: TimelineFacts, isWhole: boolean, now: number): Html {
  const { words, tone } = condition(client, now);
  const isKilled = client.killedAt !== null;
  return html`<div class="card"><p><span class="state ${tone}">${words}</span></p>${clientFacts(client, now)}</div>
<h2>What happened</h2>
${timelineLegend()}${!isWhole && stillReading()}
<div class="card">${rangeNames.map((name) => timelinePicture(facts, name, now, `picture-${name}`))}</div>
<div class="actions">${
    isKilled
      ? html`<a class="button" href="/admin/revive/${client.name}">Release to ${client.name} again…</a>`
      : client.state !== 'revoked' &&
        html`<a class="button danger" href="/admin/kill/${client.name}">Stop releases to ${client.name}…</a>`
  }</div>`;
}
