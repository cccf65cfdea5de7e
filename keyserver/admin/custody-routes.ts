import { LatchkeyError } from '../../platform/errors.ts';
import type { AppResponse, Route } from '../../platform/http-app.ts';
import { clientContent, custodyContent, inOrder, picturesShown } from './custody-page.ts';
import { readCustody, readTimelines } from './custody-state.ts';
import { isRangeName, type RangeName } from './range.ts';
import { type Site, sitePage } from './site.ts';
import { pageRoute, type Visit } from './visits.ts';

/** The state of the server and of its clients. */
export function custodyRoutes(site: Site): readonly Route[] {
  return [
    pageRoute(site, '/admin/custody', (visit) => custodyPage(site, visit, '24h')),
    pageRoute(site, '/admin/custody/:range', (visit) => {
      const { range = '' } = visit.params;
      if (!isRangeName(range)) throw notFound();
      return custodyPage(site, visit, range);
    }),
    pageRoute(site, '/admin/clients/:name', (visit) => clientPage(site, visit)),
  ];
}

async function custodyPage(site: Site, visit: Visit, range: RangeName): Promise<AppResponse> {
  const { custody, timeline } = site;
  const { now } = visit;
  const isWhole = await timeline.catchUp(now);
  const { state, timelineOf } = await custody.store.read(async (tx) => {
    const read = await readCustody(tx, now);
    const shown = inOrder(read.clients, now).slice(0, picturesShown);
    const ids = shown.map(({ id }) => id);
    return { state: read, timelineOf: await readTimelines(tx, timeline, ids, now) };
  });
  const health = await site.health.status();
  const killFile = custody.killFile();
  const { startedAt } = site;
  const content = custodyContent({ state, health, killFile, startedAt, range, timelineOf, isWhole, now });
  return sitePage(site, visit, { title: 'Custody', here: 'custody' }, content);
}

async function clientPage(site: Site, visit: Visit): Promise<AppResponse> {
  const { custody, timeline } = site;
  const { now, params } = visit;
  const isWhole = await timeline.catchUp(now);
  const content = await custody.store.read(async (tx) => {
    const { clients } = await readCustody(tx, now);
    const client = clients.find(({ name }) => name === params.name);
    if (client === undefined) throw notFound();
    const facts = await readTimelines(tx, timeline, [client.id], now);
    return clientContent(client, facts(client.id), isWhole, now);
  });
  return sitePage(site, visit, { title: params.name ?? '', here: 'custody', narrow: true }, content);
}

function notFound(): LatchkeyError {
  return new LatchkeyError('not_found', 'there is nothing here', { status: 404 });
}
