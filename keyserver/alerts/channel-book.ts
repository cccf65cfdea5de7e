import type { Kysely, Selectable } from 'kysely';
import type { OutboxChannel } from '../../platform/alert-delivery.ts';
import { giveUpChannel } from '../../platform/alert-outbox.ts';
import {
  type ChannelConfig,
  type ChannelSecret,
  channelConfig,
  channelTarget,
} from '../../platform/alerts/channel-config.ts';
import { secretFromFile } from '../../platform/alerts/send-notice.ts';
import { appendAudit } from '../../platform/audit-chain.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import type { ItemName, Vault } from '../../platform/vault/vault.ts';
import type { AlertChannelTable, Database } from '../schema.ts';
import type { Severity } from './alert-schema.ts';
import { channelOf } from './channel.ts';

/** So many channels at the most: each one is read, and may be sent to, for every alert. */
const channelLimit = 20;

/** A channel as it is kept. */
export interface StoredChannel {
  readonly name: string;
  readonly kind: string;
  readonly least: Severity;
  /** `null` when this version cannot read it: then nothing goes this way until it is added again. */
  readonly config: ChannelConfig | null;
  /** Where it leads; nothing secret. */
  readonly target: string;
  readonly sealed: Uint8Array | null;
  readonly createdAt: number;
}

export interface NewChannel {
  readonly name: string;
  readonly least: Severity;
  readonly config: ChannelConfig;
  readonly target: string;
  readonly sealed: Uint8Array | null;
}

/** How the vault names a channel's secret. */
export function channelItem(name: string): ItemName {
  return { kind: 'alert-channel', client: '', id: name, version: 1 };
}

export function sealChannelSecret(vault: Vault, name: string, secret: ChannelSecret): Buffer {
  return vault.seal(channelItem(name), Buffer.from(JSON.stringify(secret)));
}

/** Every channel by name. */
export async function listChannels(tx: Kysely<Database>): Promise<StoredChannel[]> {
  const rows = await tx.selectFrom('alert_channel').selectAll().orderBy('name').execute();
  return rows.map(channelFromRow);
}

/** Throws `alert_channel_exists`, and `alert_channel_limit` when there are twenty. */
export async function addChannel(tx: Kysely<Database>, channel: NewChannel, now: number): Promise<void> {
  const { name, least, config, target, sealed } = channel;
  const names = (await tx.selectFrom('alert_channel').select('name').execute()).map((row) => row.name);
  if (names.includes(name)) {
    throw new LatchkeyError('alert_channel_exists', `there is a channel named ${name} already`, {
      hint: 'choose another name, or remove that one first',
    });
  }
  if (names.length >= channelLimit) {
    throw new LatchkeyError('alert_channel_limit', `there are ${channelLimit} channels already`);
  }
  const text = JSON.stringify({ ...config, target });
  const row = { name, kind: config.kind, least, config: text, secret_sealed: sealed, created_at: now };
  await tx.insertInto('alert_channel').values(row).execute();
  const detail = { name, kind: config.kind, least, target };
  await appendAudit(tx, { time: now, event: 'alert_channel_added', detail });
}

/** What still waits for it is given up. Throws `alert_channel_unknown`. */
export async function removeChannel(tx: Kysely<Database>, name: string, now: number): Promise<void> {
  const removed = await tx.deleteFrom('alert_channel').where('name', '=', name).executeTakeFirst();
  if (removed.numDeletedRows === 0n) throw channelUnknown();
  await giveUpChannel(tx, name, 'the channel was removed', now);
  await appendAudit(tx, { time: now, event: 'alert_channel_removed', detail: { name } });
}

export function channelUnknown(): LatchkeyError {
  return new LatchkeyError('alert_channel_unknown', 'there is no channel of that name', {
    hint: 'see keyserver alert list',
  });
}

/** The channel ready to send. Its secret is opened when it is needed: a sealed vault fails that message, not the others. */
export function openChannel(channel: StoredChannel, vault: () => Vault | null, server: string): OutboxChannel {
  const { config } = channel;
  if (config === null)
    return { send: () => Promise.reject(notSent('this version cannot read the settings of the channel')) };
  return channelOf(config, () => secretOf(channel, config, vault), server);
}

function secretOf(channel: StoredChannel, config: ChannelConfig, vault: () => Vault | null): ChannelSecret {
  const path = config.kind === 'command' ? null : config.secretAt;
  if (path !== null) return secretFromFile(path, config);
  if (channel.sealed === null) throw notSent('the channel has no secret');
  const opened = vault();
  if (opened === null) throw notSent('the vault is sealed, and with it the secret of the channel');
  return JSON.parse(opened.open(channelItem(channel.name), channel.sealed).toString('utf8')) as ChannelSecret;
}

function notSent(message: string): LatchkeyError {
  return new LatchkeyError('alert_not_sent', message);
}

function channelFromRow(row: Selectable<AlertChannelTable>): StoredChannel {
  const { target, ...rest } = JSON.parse(row.config) as { target: string };
  const parsed = channelConfig.safeParse(rest);
  return {
    name: row.name,
    kind: row.kind,
    least: row.least,
    config: parsed.success ? parsed.data : null,
    target,
    sealed: row.secret_sealed,
    createdAt: row.created_at,
  };
}

/** What `addChannel` takes, from settings and secret. */
export function newChannel(
  name: string,
  least: Severity,
  config: ChannelConfig,
  secret: ChannelSecret | null,
  vault: Vault | null,
): NewChannel {
  const sealed = secret === null || vault === null ? null : sealChannelSecret(vault, name, secret);
  return { name, least, config, target: channelTarget(config, secret), sealed };
}
