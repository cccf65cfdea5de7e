import { createTransport } from 'nodemailer';
import { isCertificateFault } from '../certificates/certificate-fault.ts';
import { LatchkeyError } from '../errors.ts';
import type { Notice } from './notice.ts';
import { headline } from './shapes.ts';

/** How a mail server is reached; no secret in it. */
export interface MailRoute {
  readonly host: string;
  readonly port: number;
  /** `implicit`: TLS from the first byte (port 465); `starttls`: demanded, never skipped (587); `none`: loopback only. */
  readonly tls: 'implicit' | 'starttls' | 'none';
  /** `null`: no login. */
  readonly user: string | null;
  readonly from: string;
  readonly to: readonly string[];
  /** PEM; `null` for the system's authorities. */
  readonly ca: string | null;
}

/** How long a mail server may be silent, ms; the caller's signal limits the whole. */
export interface MailLimits {
  /** Until it has greeted. */
  readonly greeting: number;
  /** Afterwards: some look for spam and viruses before they answer the end of a message, which they have taken then. */
  readonly silence: number;
}
const usualLimits: MailLimits = { greeting: 8_000, silence: 60_000 };

/**
 * Sends a notice by SMTP (RFC 5321) through nodemailer, https://nodemailer.com/smtp/. A repeated message keeps its
 * Message-ID, so that mailboxes may drop it. Throws `alert_not_sent`, at once when the signal is aborted.
 */
export async function sendMail(
  notice: Notice,
  route: MailRoute,
  password: string | null,
  signal: AbortSignal,
  { greeting, silence } = usualLimits,
): Promise<void> {
  const transport = createTransport({
    host: route.host,
    port: route.port,
    secure: route.tls === 'implicit',
    requireTLS: route.tls === 'starttls',
    ignoreTLS: route.tls === 'none',
    ...(route.user !== null && { auth: { user: route.user, pass: password ?? '' } }),
    tls: { rejectUnauthorized: true, minVersion: 'TLSv1.2', ...(route.ca !== null && { ca: route.ca }) },
    connectionTimeout: greeting,
    greetingTimeout: greeting,
    socketTimeout: silence,
    dnsTimeout: greeting,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  try {
    const domain = route.from.slice(route.from.lastIndexOf('@') + 1);
    await transport.sendMail({
      from: route.from,
      to: [...route.to],
      signal, // closing the transport would end nothing that is under way
      subject: headline(notice),
      text: `${notice.text}\n`,
      messageId: `<latchkey-${notice.id.replace(/[^A-Za-z0-9.-]/g, '-')}@${domain}>`,
      headers: { 'Auto-Submitted': 'auto-generated' }, // RFC 3834, section 5: no out-of-office replies
      priority: notice.severity === 'critical' ? 'high' : 'normal',
    });
  } catch (cause) {
    throw mailFault(cause);
  } finally {
    transport.close();
  }
}

/** nodemailer's errors quote the server; only their code is told. */
function mailFault(cause: unknown): LatchkeyError {
  const {
    code = 'unknown',
    responseCode,
    cause: inner,
  } = cause as { code?: string; responseCode?: number; cause?: unknown };
  const reply = typeof responseCode === 'number' ? `${code}, reply ${responseCode}` : code;
  const deeper = (inner as { code?: string } | undefined)?.code ?? '';
  if (
    isCertificateFault(code) ||
    isCertificateFault(deeper) ||
    /certificate|self-signed/i.test((cause as Error).message)
  ) {
    return notSent("the mail server's certificate is not trusted", 'give its authority with --ca FILE');
  }
  if (code === 'EAUTH')
    return notSent(`the mail server refused the login (${reply})`, 'many providers want an app password here');
  if (code === 'ETLS') return notSent('the mail server offers no STARTTLS', 'try --smtp-tls implicit with port 465');
  if (code === 'EENVELOPE' || code === 'EMESSAGE') {
    return notSent(`the mail server refused the message (${reply})`, 'may this login send from --from, and to --to?');
  }
  if (code === 'EDNS' || code === 'ENOTFOUND') {
    return notSent("the mail server's name could not be looked up", 'has this machine internet and DNS?');
  }
  if (code === 'ETIMEDOUT' || code === 'EABORT')
    return notSent('the mail server did not answer in time', 'can this machine reach that port?');
  return notSent(
    `the mail server could not be reached (${reply})`,
    'can this machine reach that port, with that kind of TLS?',
  );
}

function notSent(message: string, hint: string): LatchkeyError {
  return new LatchkeyError('alert_not_sent', message, { hint });
}
