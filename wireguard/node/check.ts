import type { CheckNotice, CheckState, RestartState, TopicState } from './check-state.ts';
import { type CheckFinding, type CheckRounds, NO_TOPIC, nextTopic } from './check-topic.ts';

/** What one look showed. */
export interface CheckSight {
  readonly interfaces: readonly SightedInterface[];
  readonly keyservers: readonly {
    readonly url: string /** `null` when it answered well. */;
    readonly fault: string | null;
  }[];
}

export interface SightedInterface {
  readonly name: string;
  readonly isUp: boolean;
  /** `lastHandshake` in milliseconds since 1970, `null` for never. */
  readonly peers: readonly { readonly publicKey: string; readonly lastHandshake: number | null }[];
}

export interface CheckRules extends CheckRounds {
  /** Ages of a handshake, in seconds: from `warning` on it is no good one any more, from `critical` on a bad one. */
  readonly warning: number;
  readonly critical: number;
  /** Every peer is to be heard, not just one of them. */
  readonly eachPeer: boolean;
  /** Whether an interface that is down is restarted. */
  readonly restarts: boolean;
  /** Names of the ways out by which somebody is told. */
  readonly tellers: readonly string[];
}

export interface CheckDecision {
  /** To be kept before anything is done: a restart that dies in its middle has been tried. */
  readonly state: CheckState;
  readonly findings: readonly CheckFinding[];
  /** What somebody is told now, for the first time; it waits in the state until it is handed over. */
  readonly notices: readonly CheckNotice[];
  /** Interfaces to be restarted now. */
  readonly restart: readonly string[];
}

/** How long after a restart the next one may be: 2 minutes, doubled with each that did not last, an hour at the most. */
const FIRST_PAUSE_MS = 2 * 60_000;
const LONGEST_PAUSE_MS = 60 * 60_000;
/** An interface that stood for so long has recovered. */
const STOOD_MS = 15 * 60_000;
/** A handshake may be this much ahead of the clock, which `wg` reads a moment earlier or later. */
const AHEAD_MS = 5_000;
/** Nobody reads more, and a way out that never works must not fill the disk. */
const WAITING_LIMIT = 100;

/** Pure: what is to be done after a look, and what is remembered of it. */
export function decideCheck(before: CheckState, sight: CheckSight, rules: CheckRules, now: number): CheckDecision {
  const handshakes = seenHandshakes(before, sight, now);
  const findings = [
    ...sight.interfaces.flatMap((one) => findingsOf(one, handshakes, rules, now)),
    ...sight.keyservers.map(keyserverFinding),
  ];
  const topics: Record<string, TopicState> = {};
  const notices: CheckNotice[] = [];
  for (const finding of findings) {
    const { topic, notice } = nextTopic(before.topics[finding.topic] ?? NO_TOPIC, finding, rules, now);
    topics[finding.topic] = topic;
    if (notice !== null) notices.push(notice);
  }
  const restarts: Record<string, RestartState> = {};
  const restart: string[] = [];
  for (const { name, isUp } of sight.interfaces) {
    const last = before.restarts[name] ?? null;
    if (!isUp && rules.restarts && (last === null || now >= last.at + pauseAfter(last.attempts))) {
      restart.push(name);
      restarts[name] = { attempts: Math.min((last?.attempts ?? 0) + 1, 1000), at: now, upSince: null };
    } else {
      const kept = rested(last, isUp, now);
      if (kept !== null) restarts[name] = kept;
    }
  }
  for (const [key, topic] of Object.entries(before.topics)) if (isHidden(key, sight)) topics[key] = topic;
  const waiting = rules.tellers.flatMap((to) => {
    const earlier = before.waiting.filter((one) => one.to === to);
    return [...earlier, ...notices.map((notice) => ({ ...notice, to }))].slice(-WAITING_LIMIT);
  });
  return { state: { version: 1, topics, restarts, handshakes, waiting }, findings, notices, restart };
}

export function pauseAfter(attempts: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** Math.min(attempts - 1, 20), LONGEST_PAUSE_MS);
}

/** `null` once the interface stood for long enough. A clock that was set back makes nobody wait for longer than a pause. */
function rested(last: RestartState | null, isUp: boolean, now: number): RestartState | null {
  if (last === null) return null;
  const at = Math.min(last.at, now);
  if (!isUp) return { ...last, at, upSince: null };
  const upSince = Math.min(last.upSince ?? now, now);
  return now - upSince >= STOOD_MS ? null : { ...last, at, upSince };
}

const silentTopic = (name: string, key?: string): string => `silent ${name}${key === undefined ? '' : ` ${key}`}`;

/** What tells of peers stands still while their interface is down, as nobody can say anything of them. */
function isHidden(topic: string, { interfaces }: CheckSight): boolean {
  return interfaces.some(
    ({ name, isUp }) => !isUp && (topic === silentTopic(name) || topic.startsWith(`${silentTopic(name)} `)),
  );
}

function findingsOf(
  { name, isUp, peers }: SightedInterface,
  seen: CheckState['handshakes'],
  { warning, critical, eachPeer }: CheckRules,
  now: number,
): CheckFinding[] {
  const down = { topic: `down ${name}`, event: 'interface_down', subject: name } as const;
  if (!isUp) return [{ ...down, level: 'critical', said: `${name} is down` }];
  const up: CheckFinding = { ...down, level: 'ok', said: `${name} is up` };
  if (peers.length === 0) return [{ ...up, said: `${name} is up, without peers` }];
  const ages = peers.map(({ publicKey, lastHandshake }) => ({
    publicKey,
    age: handshakeAge(lastHandshake, seen[`${name} ${publicKey}`], now),
  }));
  const spoken = (age: number | null, whose: string, topic: string): CheckFinding => ({
    topic,
    event: 'handshake_stale',
    subject: whose,
    level: age === null || age >= critical ? 'critical' : age >= warning ? 'warning' : 'ok',
    said: age === null ? `${whose} has never shaken hands` : `handshake of ${whose} ${age} s ago`,
    age,
  });
  if (eachPeer) {
    return [up, ...ages.map(({ publicKey, age }) => spoken(age, `${name} ${publicKey}`, silentTopic(name, publicKey)))];
  }
  const known = ages.flatMap(({ age }) => (age === null ? [] : [age]));
  return [up, spoken(known.length === 0 ? null : Math.min(...known), name, silentTopic(name))];
}

function keyserverFinding({ url, fault }: CheckSight['keyservers'][number]): CheckFinding {
  const said = fault === null ? `key server ${url} answers` : `key server ${url} ${fault}`;
  const level = fault === null ? 'ok' : 'critical';
  return { topic: `keyserver ${url}`, event: 'keyserver_silent', subject: url, level, said };
}

/**
 * In seconds. A handshake of a time to come is one from before the clock was set back: from then on its age is reckoned from when it
 * was first seen so.
 */
function handshakeAge(last: number | null, seen: { readonly seenAt: number } | undefined, now: number): number | null {
  if (last === null) return null;
  const from = last > now + AHEAD_MS ? (seen?.seenAt ?? now) : last;
  return Math.max(0, Math.floor((now - from) / 1000));
}

/** Handshakes of a time to come, with when they were first seen. */
function seenHandshakes(before: CheckState, sight: CheckSight, now: number): CheckState['handshakes'] {
  const seen: CheckState['handshakes'] = {};
  for (const { name, peers } of sight.interfaces) {
    for (const { publicKey, lastHandshake } of peers) {
      if (lastHandshake === null || lastHandshake <= now + AHEAD_MS) continue;
      const key = `${name} ${publicKey}`;
      const known = before.handshakes[key];
      const seenAt = known?.value === lastHandshake ? Math.min(known.seenAt, now) : now;
      seen[key] = { value: lastHandshake, seenAt };
    }
  }
  return seen;
}
