import { LatchkeyError } from '../../../platform/errors.ts';
import { quoteForRemoteShell } from '../../transports/remote-quoting.ts';
import type { Transport } from '../../transports/transport.ts';
import {
  type Answer,
  ask,
  type DialledLook,
  type DiallingLook,
  dialledLook,
  diallingCheck,
  diallingLook,
  keyAnswer,
  listenerAnswer,
  nothing,
  trialAnswer,
} from './end-answers.ts';
import { endScript } from './end-script.ts';
import { sshTrial } from './ssh-command.ts';
import { hostKeyAlias, type SshTunnelPlan } from './ssh-tunnel-plan.ts';
import { authorizedLine } from './sshd-files.ts';
import { trialTrouble } from './trial-trouble.ts';
import { type TunnelService, tunnelService } from './tunnel-service.ts';

/** A tunnel and the two machines that it is between, each reached as root. */
export interface TunnelEnds {
  readonly plan: SshTunnelPlan;
  readonly home: Transport;
  readonly server: Transport;
}

/** Both ends as they are found. */
export interface TunnelState {
  readonly dialling: DiallingLook;
  readonly dialled: DialledLook;
  /** What the dialled end shows as its own. */
  readonly hostKeys: readonly string[];
  /** `null` where the dialling end has nothing that could keep a tunnel up. */
  readonly service: TunnelService | null;
  /** Whose the service file is. */
  readonly serviceFile: 'none' | 'ours' | 'other' | 'foreign';
  /** Who listens on the server's loopback port. */
  readonly listener: 'none' | 'ours' | 'foreign';
  /** Nothing is to be done: all of it is there, as it should be, and stands. */
  readonly whole: boolean;
}

/** Until the first line is there; a dead one before it may hold the port for 150 s where an earlier version told sshd to ask seldom. */
const PATIENCE_SECONDS = 180;

export function diallingEnd({ plan, home, server }: TunnelEnds): Transport {
  return plan.dials === 'home' ? home : server;
}

export function dialledEnd({ plan, home, server }: TunnelEnds): Transport {
  return plan.dials === 'home' ? server : home;
}

/** Looks at both ends; changes nothing. */
export async function lookAtTunnel(ends: TunnelEnds): Promise<TunnelState> {
  const { plan } = ends;
  const [dialling, { values: dialled, hostKeys }] = await Promise.all([
    ask(diallingEnd(ends), endScript('dialling', plan, {}), ['look'], diallingLook),
    ask(dialledEnd(ends), endScript('dialled', plan, {}), ['look'], dialledLook),
  ]);
  const look = dialling.values;
  const service = serviceOf(plan, look);
  const [check, { values: heard }] = await Promise.all([
    service === null ? null : askDialling(ends, service, hostKeys, 'check', diallingCheck),
    ask(ends.server, endScript('dialled', plan, {}), ['listener'], listenerAnswer),
  ]);
  const isAdmitted =
    look.key !== null && dialled.settled && isLogin(plan, look.key, dialled.login) && !dialled.unfinished;
  const isKept = check !== null && check.values.service === 'ours' && check.values.same && check.values.running;
  return {
    dialling: look,
    dialled,
    hostKeys,
    service,
    serviceFile: check?.values.service ?? 'none',
    listener: heard.listener,
    whole: isAdmitted && isKept && !look.unfinished && heard.listener === 'ours',
  };
}

/** One of before does not say which Nextcloud's it is. */
function isLogin(plan: SshTunnelPlan, key: string, login: string | null): boolean {
  return login === authorizedLine(plan, key) || login === authorizedLine(plan, key, hostKeyAlias(plan));
}

function serviceOf(plan: SshTunnelPlan, { init, ssh }: DiallingLook): TunnelService | null {
  // the name of a unit does not hang on where ssh is
  return init === 'none' ? null : tunnelService(init, plan, ssh ?? '/usr/bin/ssh');
}

/** Makes what is missing of it, and waits until it stands. Twice is as once. */
export async function layTunnel(ends: TunnelEnds, state: TunnelState): Promise<void> {
  const { plan } = ends;
  const { service } = state;
  const ssh = state.dialling.ssh;
  if (service === null || ssh === null) throw new TypeError('a tunnel needs ssh, and what starts it');
  const { values: own } = await askDialling(ends, service, [], 'prepare', keyAnswer);
  const line = authorizedLine(plan, own.key);
  const { hostKeys } = await ask(dialledEnd(ends), endScript('dialled', plan, { LINE: line }), ['admit'], nothing);
  const { values: tried } = await askDialling(ends, service, hostKeys, 'trial', trialAnswer, ssh);
  const trouble = trialTrouble(tried.trial, plan);
  if (trouble !== null) throw trouble;
  await askDialling(ends, service, hostKeys, 'dial', nothing);
  const waiting = endScript('dialled', plan, {});
  const words = ['await', String(PATIENCE_SECONDS)];
  const { values: end } = await ask(ends.server, waiting, words, listenerAnswer, PATIENCE_SECONDS);
  if (end.listener !== 'ours') throw notStanding(end.listener, plan, service.unit);
  await Promise.all([
    askDialling(ends, service, hostKeys, 'finish', nothing),
    ask(dialledEnd(ends), endScript('dialled', plan, {}), ['finish'], nothing),
  ]);
}

function notStanding(listener: 'none' | 'foreign', { listen, dials }: SshTunnelPlan, unit: string): LatchkeyError {
  if (listener === 'foreign') return listenTaken(listen);
  const here = dials === 'home' ? 'the machine at home' : 'the server';
  return new LatchkeyError(
    'tunnel_not_standing',
    `the login works, but nothing listens on port ${listen} of the server`,
    {
      hint: `see what ssh says on ${here}: the log of ${unit}`,
    },
  );
}

/** The port on the server is somebody else's. */
export function listenTaken(listen: number): LatchkeyError {
  return new LatchkeyError('listen_taken', `port ${listen} of the server is in use by another program`, {
    exit: 3,
    field: 'sshTunnel.listen',
    hint: 'name another one that is free there',
  });
}

/** Takes it away from both ends, or only what was begun and not ended; nothing there is fine. */
export async function removeTunnel(ends: TunnelEnds, what: 'all' | 'unfinished'): Promise<void> {
  const mode = what === 'all' ? 'down' : 'down-unfinished';
  const { values: look } = await ask(diallingEnd(ends), endScript('dialling', ends.plan, {}), ['look'], diallingLook);
  const service = serviceOf(ends.plan, look);
  await ask(diallingEnd(ends), diallingScript(ends.plan, service, [], null), [mode], nothing);
  await ask(dialledEnd(ends), endScript('dialled', ends.plan, {}), [mode], nothing);
}

function askDialling<T>(
  ends: TunnelEnds,
  service: TunnelService,
  hostKeys: readonly string[],
  mode: string,
  schema: Parameters<typeof ask<T>>[3],
  ssh: string | null = null,
): Promise<Answer<T>> {
  return ask(diallingEnd(ends), diallingScript(ends.plan, service, hostKeys, ssh), [mode], schema);
}

function diallingScript(
  plan: SshTunnelPlan,
  service: TunnelService | null,
  hostKeys: readonly string[],
  ssh: string | null,
): string {
  const keeper = service?.keeper ?? null;
  return endScript('dialling', plan, {
    KNOWN_HOSTS: hostKeys.map((key) => `${hostKeyAlias(plan)} ${key}`).join('\n'),
    ...(service === null ? {} : serviceValues(service)),
    ...(keeper === null
      ? {}
      : { KEEPER_FILE: keeper.path, KEEPER_TEXT: keeper.text.trimEnd(), KEEPER_MODE: keeper.mode }),
    ...(ssh === null ? {} : { TRIAL: quoteForRemoteShell(sshTrial(plan, ssh)) }),
  });
}

function serviceValues({ init, unit, file }: TunnelService): Readonly<Record<string, string>> {
  return {
    INIT: init,
    UNIT: unit,
    SERVICE_FILE: file.path,
    SERVICE_TEXT: file.text.trimEnd(),
    SERVICE_MODE: file.mode,
  };
}
