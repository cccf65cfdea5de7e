import { sha256 } from '../../platform/encoding.ts';
import { type Html, html } from '../../platform/html.ts';
import { type Comparison, comparisonsOf } from '../approvals/facts.ts';
import { type Approval, gateNames, lastWord } from '../approvals/record.ts';
import { problemNotice, proofFields } from './layout.ts';
import { agoMark, counted, lengthWords, timeMark } from './words.ts';

/** Requests that wait, and what was decided lately. */
export function approvalsContent(pending: readonly Approval[], settled: readonly Approval[], now: number): Html {
  const waiting =
    pending.length === 0
      ? html`<div class="card"><p><strong>Nothing waits for you.</strong></p><p class="quiet">When a gate holds a request, it stands here for 15 minutes, and an alert goes out.</p></div>`
      : pending.map((approval) => pendingCard(approval, now));
  return html`${waiting}
${settled.length > 0 && html`<h2>Lately</h2><div class="card"><ul class="plain alerts">${settled.map((approval) => settledLine(approval, now))}</ul></div>`}`;
}

function pendingCard(approval: Approval, now: number): Html {
  const differing = comparisonsOf(approval.facts).filter(({ differs }) => differs);
  return html`<article class="card">
<div class="card-head"><h2 class="flat">${approval.client.name}</h2><span class="state warn">${timeLeft(approval, now)}</span></div>
<p>Held by ${gateNames(approval)}. ${differing.length === 0 ? 'Nothing differs from last time.' : `Different from last time: ${differing.map(({ fact }) => factNames[fact]).join(', ')}.`}</p>
<p><a class="button" href="/admin/approvals/${approval.id}">Look and decide</a></p>
</article>`;
}

function settledLine(approval: Approval, now: number): Html {
  const at = approval.decidedAt ?? approval.expiresAt;
  return html`<li><a href="/admin/approvals/${approval.id}">${approval.client.name}</a> <span class="state ${tones[approval.state]}">${stateWords[approval.state]}</span>
<p class="quiet">Held by ${gateNames(approval)}, ${agoMark(at, now)}</p></li>`;
}

const factNames: Readonly<Record<Comparison['fact'], string>> = {
  address: 'address',
  boot: 'start of the machine',
  fingerprint: 'fingerprint',
  presence: 'presence',
};

const stateWords: Readonly<Record<Approval['state'], string>> = {
  pending: 'waits',
  approved: 'approved',
  denied: 'denied',
  lapsed: 'not answered',
  used: 'approved and used',
  withdrawn: 'withdrawn',
};

const tones: Readonly<Record<Approval['state'], 'good' | 'warn' | 'bad'>> = {
  pending: 'warn',
  approved: 'good',
  denied: 'bad',
  lapsed: 'warn',
  used: 'good',
  withdrawn: 'warn',
};

function timeLeft(approval: Approval, now: number): string {
  const left = approval.expiresAt - now;
  return left < 60_000 ? 'under a minute left' : `${lengthWords(left)} left`;
}

export interface ApprovalView {
  readonly approval: Approval;
  readonly visitor: { readonly admin: string; readonly csrf: string };
  readonly problem: string | null;
  readonly now: number;
}

/** One request: what is different, the two answers, and what else is known of it. */
export function approvalContent({ approval, visitor, problem, now }: ApprovalView): Html {
  return html`${problemNotice(problem)}${stateNotice(approval, now)}
<div class="card">
<h2 class="flat">What differs from last time</h2>
<p>Held by ${gateNames(approval)}. The reason it gave: ${approval.facts.reason}.</p>
${differences(comparisonsOf(approval.facts))}
</div>
${canDecide(approval, now) && decisionForm(approval, visitor)}
<h2>More about it</h2>
<div class="card">${askedFacts(approval, now)}</div>`;
}

function canDecide({ state, createdAt }: Approval, now: number): boolean {
  return state !== 'used' && state !== 'withdrawn' && now < createdAt + lastWord;
}

function stateNotice(approval: Approval, now: number): Html {
  const { state, decidedAt, expiresAt, decidedBy } = approval;
  const by = decidedAt === null ? null : html` ${agoMark(decidedAt, now)}${decidedBy !== null && `, by ${decidedBy}`}`;
  if (state === 'pending') {
    return html`<div class="notice warn"><strong>${timeLeft(approval, now)}</strong><p>Without an answer it is denied at ${timeMark(expiresAt)}.</p></div>`;
  }
  if (state === 'lapsed') {
    const words =
      decidedAt === null
        ? 'Nobody answered in time, so it counts as denied.'
        : 'It was approved, and the yes was not used in time.';
    const late =
      canDecide(approval, now) && ' You may still say yes: it is good for one request in the next 15 minutes.';
    return html`<div class="notice warn"><strong>This request has lapsed</strong><p>${words}${late}</p></div>`;
  }
  if (state === 'approved') {
    return html`<div class="notice good"><strong>Approved</strong><p>${by}. Good for one release until ${timeMark(expiresAt)}. You may take it back until it is used.</p></div>`;
  }
  if (state === 'denied') {
    return html`<div class="notice bad"><strong>Denied</strong><p>${by}. Nothing was released. You may still change your mind.</p></div>`;
  }
  if (state === 'used') return html`<div class="notice good"><strong>Approved and used</strong><p>${by}.</p></div>`;
  return html`<div class="notice warn"><strong>Withdrawn</strong><p>The client was reset or revoked; there is nothing to decide any more.</p></div>`;
}

/** Differences first; what is as it was in one line each. */
function differences(all: readonly Comparison[]): Html {
  const rows = [...all].sort((a, b) => Number(b.differs) - Number(a.differs));
  return html`<table class="diff">
<thead><tr><th scope="col">What</th><th scope="col">Last time</th><th scope="col">Now</th></tr></thead>
<tbody>${rows.map(differenceRow)}</tbody></table>`;
}

function differenceRow({ fact, before, now, differs, meaning }: Comparison): Html {
  return html`<tr class="${differs ? 'changed' : 'same'}"><th scope="row">${factNames[fact]}${differs && html`<span class="changed-mark">differs</span>`}</th><td>${factText(fact, before)}</td><td>${factText(fact, now)}</td></tr>
${differs && html`<tr class="changed meaning"><td colspan="3">May be: ${meaning}.</td></tr>`}`;
}

function factText(fact: Comparison['fact'], value: string | null): Html {
  if (value === null) return html`<span class="quiet">unknown</span>`;
  if (fact === 'presence' || value === 'none') return html`${value}`;
  return html`<code title="${value}">${fact === 'address' ? value : `${value.slice(0, 13)}…`}</code>`;
}

function askedFacts({ facts, gates, client, createdAt, id }: Approval, now: number): Html {
  const { absence, before } = facts;
  return html`<dl class="facts">
<dt>Client</dt><dd>${client.name}</dd>
<dt>Held by</dt><dd><ul class="plain">${gates.map(({ gate, reason }) => html`<li>${gate}${reason !== '' && html` <span class="quiet">${reason}</span>`}</li>`)}</ul></dd>
<dt>Reason it gave</dt><dd>${facts.reason}</dd>
<dt>Asked</dt><dd>${agoMark(createdAt, now)}</dd>
${absence !== null && html`<dt>Away</dt><dd>${lengthWords(absence.until - absence.since)} <span class="quiet">from ${timeMark(absence.since)} to ${timeMark(absence.until)}</span></dd>`}
<dt>Heard before</dt><dd>${agoMark(before.heardAt, now)}</dd>
<dt>Released before</dt><dd>${agoMark(before.releasedAt, now)}</dd>
<dt>Number</dt><dd><code>${id}</code></dd>
</dl>`;
}

/**
 * What a person saw when the form was made. A gate that comes to hold later is added to a request that waits: a yes must
 * not be taken for what was not on the page.
 */
export function seenMark({ gates }: Pick<Approval, 'gates'>): string {
  return sha256(JSON.stringify(gates)).toString('hex').slice(0, 16);
}

/** A hidden button that is switched off comes first: the enter key presses the first one, and must not decide anything. */
function decisionForm(approval: Approval, { admin, csrf }: ApprovalView['visitor']): Html {
  const { id, client, state } = approval;
  const yes = html`<button class="big" name="decision" value="approve">Approve</button>`;
  const no = html`<button class="big danger" name="decision" value="deny">Deny</button>`;
  return html`<h2>Your answer</h2>
<form class="card stack" method="post" action="/admin/approvals/${id}">
<button disabled hidden>Nothing</button>
<input type="hidden" name="csrf" value="${csrf}">
<input type="hidden" name="seen" value="${seenMark(approval)}">
<p>A yes releases the keys of ${client.name} once, to the machine that asks from this address with this boot and fingerprint. If you do not know why it asks, deny.</p>
${proofFields('decision', admin)}
<div class="choice">${state !== 'denied' && no}${state !== 'approved' && yes}</div>
</form>`;
}

/** What was decided. */
export function decidedContent(approval: Approval, pending: number): Html {
  const isYes = approval.state === 'approved';
  const words = isYes
    ? html`<strong>Approved</strong><p>${approval.client.name} gets its keys when it asks again, within about half a minute. The yes is good until ${timeMark(approval.expiresAt)}, once.</p>`
    : html`<strong>Denied</strong><p>Nothing is released to ${approval.client.name} for this request. If it was not you who caused it, look at the machine, and stop its releases until you know.</p>`;
  return html`<div class="notice ${isYes ? 'good' : 'bad'}" role="status">${words}</div>
<div class="actions"><a class="button" href="/admin/approvals">${pending === 0 ? 'To the approvals' : `${counted(pending, 'more request')} waiting`}</a>${!isYes && html`<a class="button danger" href="/admin/kill/${approval.client.name}">Stop releases to ${approval.client.name}…</a>`}</div>`;
}
