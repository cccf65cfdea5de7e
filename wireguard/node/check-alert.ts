import type { Notice } from '../../platform/alerts/notice.ts';
import type { CheckEvent, CheckNotice } from './check-state.ts';

/** Pure: a notice as it goes out; the members are those of a key server's alerts, so that one receiver can take both. */
export function alertNotice({ id, event, over, subject, said, at, lasted }: CheckNotice, host: string): Notice {
  const severity = over ? 'info' : event === 'keyserver_silent' ? 'critical' : 'warning';
  const title = `${host}: ${over ? 'over: ' : ''}${said}`;
  const { done, todo } = TEXTS[event];
  const happened = over ? `It is over after ${minutes(lasted ?? 0)}: ${said}.` : `${title}.`;
  const texts = { happened, done: over ? 'nothing' : done, todo: over ? 'nothing' : todo.replaceAll('NAME', subject) };
  const text = `${happened}\n\nDone by itself: ${texts.done}\nYou can: ${texts.todo}\n\n${severity}, ${moment(at)}, ${host}`;
  const facts = { subject, over, lasted };
  const alert = { event, severity, title, ...texts, raisedAt: at, earlier: 0, facts };
  return { id: `${host} ${id}`, server: host, severity, title, text, alerts: [alert] };
}

/** Pure: what shows that alerts arrive. */
export function trialNotice(host: string, at: number): Notice {
  const title = `${host}: this is a test, and all is well`;
  const text = `${title}.\n\nDone by itself: nothing\nYou can: nothing, alerts arrive here\n\ninfo, ${moment(at)}, ${host}`;
  const alert = { event: 'test', severity: 'info', title, raisedAt: at };
  return { id: `${host} ${at.toString(36)} test`, server: host, severity: 'info', title, text, alerts: [alert] };
}

const TEXTS: Readonly<Record<CheckEvent, { readonly done: string; readonly todo: string }>> = {
  interface_down: {
    done: 'it was restarted, or will be, unless --no-restart was given; less and less often as long as that does not help',
    todo: 'look why it does not stay: journalctl -u wg-quick@NAME, wg show NAME',
  },
  handshake_stale: {
    done: 'nothing: the interface is up and goes on trying',
    todo: 'look whether the other side runs, and whether UDP gets there; a tunnel without PersistentKeepalive is silent when nobody uses it',
  },
  keyserver_silent: {
    done: 'nothing',
    todo: 'look whether the key server runs and its vault is open: keyserver status, keyserver doctor',
  },
};

function minutes(ms: number): string {
  const whole = Math.round(ms / 60_000);
  return whole === 1 ? '1 minute' : `${whole} minutes`;
}

function moment(at: number): string {
  return new Date(at).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
