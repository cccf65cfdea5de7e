import { type HttpAddress, type HttpAnswer, HttpClient } from './http-client.ts';

/** An account of a test instance. */
export interface Account {
  readonly user: string;
  readonly password: string;
}

function basic({ user, password }: Account): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

/** WebDAV with the password in each request: without a session every request is a cold one, as sync clients without cookies do. */
export class WebDav {
  readonly #http: HttpClient;
  readonly #account: Account;

  constructor(address: HttpAddress, account: Account, options: { readonly session: boolean }) {
    this.#http = new HttpClient(address, { keepCookies: options.session });
    this.#account = account;
  }

  put(path: string, body: string | Uint8Array): Promise<HttpAnswer> {
    return this.#send('PUT', path, body);
  }

  get(path: string): Promise<HttpAnswer> {
    return this.#send('GET', path);
  }

  delete(path: string): Promise<HttpAnswer> {
    return this.#send('DELETE', path);
  }

  cookies(): ReadonlyMap<string, string> {
    return this.#http.cookies();
  }

  #send(method: string, path: string, body?: string | Uint8Array): Promise<HttpAnswer> {
    return this.#http.send(`/remote.php/dav/files/${this.#account.user}/${path}`, {
      method,
      headers: { Authorization: basic(this.#account), 'OCS-APIRequest': 'true' },
      ...(body === undefined ? {} : { body }),
    });
  }
}

/** A person with a browser: signs in by the form, then works with cookies and the page's request token. */
export class Browser {
  readonly #http: HttpClient;
  readonly #account: Account;
  #token = '';

  constructor(address: HttpAddress, account: Account) {
    this.#http = new HttpClient(address, { keepCookies: true });
    this.#account = account;
  }

  cookies(): ReadonlyMap<string, string> {
    return this.#http.cookies();
  }

  /** Answers the status of the page that a signed-in person lands on; throws when Nextcloud shows the form again. */
  async signIn(): Promise<number> {
    this.#readToken(await this.#http.get('/index.php/login'));
    const form = new URLSearchParams({
      ...this.#account,
      requesttoken: this.#token,
      timezone: 'UTC',
      timezone_offset: '0',
    });
    const answer = await this.#http.send('/index.php/login', {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', Origin: 'http://localhost' },
      body: form.toString(),
    });
    if (answer.status !== 303 || /\/login/.test(answer.headers.location ?? '')) {
      throw new Error(`sign-in answered ${answer.status} and sent on to ${answer.headers.location ?? 'nowhere'}`);
    }
    const page = await this.page('/index.php/apps/files/');
    return page.status;
  }

  async page(path: string): Promise<HttpAnswer> {
    const answer = await this.#http.get(path);
    if (answer.status === 200) this.#readToken(answer);
    return answer;
  }

  get(path: string): Promise<HttpAnswer> {
    return this.#http.send(this.#path(path), { headers: { requesttoken: this.#token } });
  }

  put(path: string, body: string | Uint8Array): Promise<HttpAnswer> {
    return this.#http.send(this.#path(path), { method: 'PUT', headers: { requesttoken: this.#token }, body });
  }

  #path(path: string): string {
    return `/remote.php/dav/files/${this.#account.user}/${path}`;
  }

  #readToken(answer: HttpAnswer): void {
    const token = /data-requesttoken="([^"]+)"/.exec(answer.text)?.[1];
    if (token === undefined) throw new Error(`a page with status ${answer.status} carries no request token`);
    this.#token = token;
  }
}

/** Shares a file by public link; answers the link's token. */
export async function sharePublicly(address: HttpAddress, account: Account, path: string): Promise<string> {
  const answer = await new HttpClient(address, { keepCookies: false }).send(
    '/ocs/v2.php/apps/files_sharing/api/v1/shares?format=json',
    {
      method: 'POST',
      headers: {
        Authorization: basic(account),
        'OCS-APIRequest': 'true',
        'Content-Type': 'application/x-www-form-urlencoded',
      },
      body: new URLSearchParams({ path, shareType: '3' }).toString(),
    },
  );
  const token: unknown = JSON.parse(answer.text)?.ocs?.data?.token;
  if (answer.status !== 200 || typeof token !== 'string') throw new Error(`sharing answered ${answer.status}`);
  return token;
}

/** What somebody without an account gets who opens a public link and downloads. */
export function downloadShared(address: HttpAddress, token: string): Promise<HttpAnswer> {
  return new HttpClient(address, { keepCookies: true }).get(`/index.php/s/${token}/download`);
}
