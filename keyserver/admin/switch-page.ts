import { type Html, html } from '../../platform/html.ts';
import { problemNotice, proofFields } from './layout.ts';

/** A switch that is about to be thrown or taken back; `client` is `null` for everybody. */
export interface SwitchForm {
  readonly action: 'kill' | 'revive';
  readonly client: string | null;
  readonly visitor: { readonly admin: string; readonly csrf: string };
  readonly problem: string | null;
  readonly reason: string;
}

/** The page that asks once more, says what will happen, and wants password and code. */
export function switchContent(form: SwitchForm): Html {
  const { action, client } = form;
  const path = client === null ? `/admin/${action}` : `/admin/${action}/${client}`;
  const whom = client ?? 'anybody';
  const whose = client === null ? 'Every client' : client;
  return html`${problemNotice(form.problem)}
<form class="card stack" method="post" action="${path}">
<div>${
    action === 'kill'
      ? html`<p>From now on nothing is released to ${whom}. ${whose} is told to empty its cache with its next heartbeat, within about a minute; from then on encrypted files cannot be opened there.</p>`
      : html`<p>Releases to ${whom} begin again with the next request. Do this when you know why they were stopped.</p>`
  }</div>
<input type="hidden" name="csrf" value="${form.visitor.csrf}">
${action === 'kill' && html`<div><label for="reason">Reason</label><input type="text" id="reason" name="reason" value="${form.reason}" autocomplete="off" maxlength="200"><p class="hint">For the audit log; may stay empty.</p></div>`}
${proofFields('switch', form.visitor.admin)}
<button class="big ${action === 'kill' ? 'danger' : 'safe'}">${action === 'kill' ? (client === null ? 'Stop all releases' : `Stop releases to ${client}`) : `Release to ${client ?? 'everybody'} again`}</button>
<p><a href="/admin/custody">Back, change nothing</a></p>
</form>`;
}

export function switchTitle({ action, client }: Pick<SwitchForm, 'action' | 'client'>): string {
  if (action === 'kill') return client === null ? 'Stop all releases?' : `Stop releases to ${client}?`;
  return client === null ? 'Release again?' : `Release to ${client} again?`;
}

/** What was done. */
export function switchedContent(
  { action, client }: Pick<SwitchForm, 'action' | 'client'>,
  changed: boolean,
  killFile: boolean,
): Html {
  const whom = client ?? 'anybody';
  const words =
    action === 'kill'
      ? `Nothing is released to ${whom}${changed ? '' : '; that was so before'}.`
      : `${client ?? 'The server'} ${changed ? 'is released to again' : 'was not stopped'}.`;
  return html`<div class="notice good" role="status"><p>${words}</p></div>
${action === 'revive' && killFile && html`<div class="notice bad"><p>The file KILL in the data directory still stops everything. Remove it on the machine.</p></div>`}
<p><a class="button" href="/admin/custody">To custody</a></p>`;
}
