import type { Kysely, Selectable } from 'kysely';
import * as z from 'zod';
import { appendAudit } from '../../platform/audit-chain.ts';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import type { AppResponse, Route } from '../../platform/http-app.ts';
import { findClient } from '../clients/client-admin.ts';
import { killAll, killClient, reviveAll, reviveClient } from '../kill-switch.ts';
import type { ClientTable, Database } from '../schema.ts';
import { askAgain, proof, type Site, sitePage } from './site.ts';
import { type SwitchForm, switchContent, switchedContent, switchTitle } from './switch-page.ts';
import { formRoute, pageRoute, type Visit } from './visits.ts';

type Action = SwitchForm['action'];

const killForm = z.strictObject({ reason: z.string().max(200), ...proof });
const reviveForm = z.strictObject(proof);

/** The kill switch, of the server and of single clients; each asks once more before it does anything. */
export function switchRoutes(site: Site): readonly Route[] {
  return ['', '/:name'].flatMap((suffix) => [
    pageRoute(site, `/admin/kill${suffix}`, (visit) =>
      askPage(site, visit, 'kill', { status: 200, problem: null, reason: '' }),
    ),
    formRoute(site, `/admin/kill${suffix}`, killForm, (visit, form) => throwSwitch(site, visit, 'kill', form)),
    pageRoute(site, `/admin/revive${suffix}`, (visit) =>
      askPage(site, visit, 'revive', { status: 200, problem: null, reason: '' }),
    ),
    formRoute(site, `/admin/revive${suffix}`, reviveForm, (visit, form) =>
      throwSwitch(site, visit, 'revive', { ...form, reason: '' }),
    ),
  ]);
}

async function askPage(
  site: Site,
  visit: Visit,
  action: Action,
  { status, problem, reason }: { readonly status: number; readonly problem: string | null; readonly reason: string },
): Promise<AppResponse> {
  const client = await site.custody.store.read((tx) => clientOf(tx, visit));
  const form = { action, client: client?.name ?? null, visitor: visit, problem, reason };
  return sitePage(
    site,
    visit,
    { title: switchTitle(form), here: 'custody', narrow: true, status },
    switchContent(form),
  );
}

async function throwSwitch(
  site: Site,
  visit: Visit,
  action: Action,
  form: z.infer<typeof killForm>,
): Promise<AppResponse> {
  const { custody } = site;
  const client = await custody.store.read((tx) => clientOf(tx, visit));
  const problem = await askAgain(site, visit, form, action);
  if (problem !== null) {
    return askPage(site, visit, action, { status: problem.status, problem: problem.words, reason: form.reason });
  }
  const now = custody.clock.now();
  const reason = form.reason.trim() === '' ? null : form.reason.trim();
  const changed = await custody.store.transaction(async (tx) => {
    const who = {
      time: now,
      event: 'admin_acted',
      source: visit.source,
      ...(client !== null && { client: client.id }),
    };
    await appendAudit(tx, { ...who, detail: { admin: visit.admin, action } });
    return act(tx, action, client, reason, now);
  });
  const done = { action, client: client?.name ?? null };
  const title = action === 'kill' ? 'Releases stopped' : 'Releasing again';
  const content = switchedContent(done, changed, custody.killFile());
  return sitePage(site, visit, { title, here: 'custody', narrow: true }, content);
}

async function act(
  tx: Kysely<Database>,
  action: Action,
  client: Selectable<ClientTable> | null,
  reason: string | null,
  now: number,
): Promise<boolean> {
  if (action === 'kill') {
    return client === null ? killAll(tx, reason, now, 'page') : killClient(tx, client, reason, now, 'page');
  }
  return client === null ? reviveAll(tx, now, 'page') : reviveClient(tx, client, now, 'page');
}

/** The client a path names; `null` when it names none and everybody is meant. */
async function clientOf(tx: Kysely<Database>, { params }: Visit): Promise<Selectable<ClientTable> | null> {
  if (params.name === undefined) return null;
  try {
    return await findClient(tx, params.name);
  } catch (error) {
    if (!isLatchkeyError(error, 'client_unknown')) throw error;
    throw new LatchkeyError('not_found', 'there is no such client', { status: 404 });
  }
}
