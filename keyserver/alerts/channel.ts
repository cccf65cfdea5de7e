import type { OutboxChannel } from '../../platform/alert-delivery.ts';
import type { ChannelConfig, ChannelSecret } from '../../platform/alerts/channel-config.ts';
import { sendNotice } from '../../platform/alerts/send-notice.ts';
import { noticeOf } from './notice.ts';

/** A channel that sends. `secret` is asked anew for each message: it may live in a file that changes. */
export function channelOf(config: ChannelConfig, secret: () => ChannelSecret, server: string): OutboxChannel {
  return { send: async (messages, signal) => sendNotice(noticeOf(messages, server), config, secret, signal) };
}
