import * as z from 'zod';
import type { AppRequest, AppResponse, Route } from '../../platform/http-app.ts';
import { parseInput } from '../../platform/schema.ts';
import { allowed, type Caller } from '../access/caller.ts';
import { pageOf, readPageWish } from '../peers/page-mark.ts';
import { clusterJson, memberJson } from '../spokes/cluster-json.ts';
import { readMembers } from '../spokes/cluster-members.ts';
import { changeCluster, getCluster, listClusters, removeCluster } from '../spokes/proxmox-clusters.ts';
import type { Desk } from './desk.ts';

const USUAL_PER_PAGE = 100;

/** Proxmox clusters, which the first of their nodes makes. */
export function proxmoxRoutes(desk: Desk): readonly Route[] {
  const { access } = desk;
  const one = '/api/proxmox/clusters/:id';
  return [
    {
      method: 'GET',
      path: '/api/proxmox/clusters',
      bodyLimit: 0,
      query: ['limit', 'after'],
      handler: allowed(access, 'peers:read', (request) => list(desk, request)),
    },
    {
      method: 'GET',
      path: one,
      bodyLimit: 0,
      handler: allowed(access, 'peers:read', (request) => show(desk, request)),
    },
    {
      method: 'PUT',
      path: one,
      bodyLimit: 8192,
      handler: allowed(access, 'peers:write', (request, caller) => change(desk, request, caller)),
    },
    {
      method: 'DELETE',
      path: one,
      bodyLimit: 0,
      handler: allowed(access, 'peers:write', (request, caller) => remove(desk, request, caller)),
    },
  ];
}

async function list({ store }: Desk, { query }: AppRequest): Promise<AppResponse> {
  const { limit, after } = readPageWish(query, USUAL_PER_PAGE);
  const { page, next } = pageOf(await store.read((db) => listClusters(db, after, limit + 1)), limit);
  return { status: 200, body: { success: true, clusters: page.map(clusterJson), next } };
}

async function show({ store }: Desk, { params }: AppRequest): Promise<AppResponse> {
  const { cluster, members } = await store.read(async (db) => {
    const found = await getCluster(db, params.id ?? '');
    return { cluster: found, members: await readMembers(db, found.id) };
  });
  return {
    status: 200,
    body: { success: true, cluster: { ...clusterJson(cluster), members: members.map(memberJson) } },
  };
}

const changeSchema = z.strictObject({
  datacenter: z.string().nullable().optional(),
  description: z.string().nullable().optional(),
});

async function change({ store, clock }: Desk, { params, body }: AppRequest, { actor }: Caller): Promise<AppResponse> {
  const wanted = parseInput(changeSchema, body);
  const changed = await store.transaction((tx) => changeCluster(tx, params.id ?? '', wanted, actor, clock.now()));
  return { status: 200, body: { success: true, cluster: clusterJson(changed) } };
}

async function remove({ store, clock }: Desk, { params }: AppRequest, { actor }: Caller): Promise<AppResponse> {
  const removed = await store.transaction((tx) => removeCluster(tx, params.id ?? '', actor, clock.now()));
  return { status: 200, body: { success: true, cluster: clusterJson(removed) } };
}
