import { type Browser, type BrowserContext, type ConsoleMessage, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { raiseAlert } from '../../keyserver/alerts/raise.ts';
import { findApproval } from '../../keyserver/approvals/approvals.ts';
import { findProgram } from '../harness/programs.ts';
import { type AdminVisitor, addVisitor } from './admin-visitor.ts';
import { type Answer, call, type HonestClient } from './honest-client.ts';
import { masterKeyId } from './made-server.ts';
import { badDay, clientAt, fingerprintBefore, fingerprintNow, heldRequest, quietDays } from './page-scenes.ts';
import { RunningServer } from './running-server.ts';

const program = findProgram('chromium') ?? findProgram('chromium-browser') ?? findProgram('google-chrome');
const quiet = ['quic', 'background-networking', 'component-update', 'sync', 'gpu'].map((name) => `--disable-${name}`);
const attempt = `"><script>alert(1)</script><img src=x onerror=alert(2)>' onfocus='alert(3)`;
const phone = { viewport: { width: 390, height: 844 }, colorScheme: 'light' } as const;
const desk = { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' } as const;

describe.skipIf(program === null)('the pages in a browser', () => {
  let server: RunningServer;
  let ann: AdminVisitor;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  /** What a page must never do: complain, ask another host, run a program. */
  let faults: string[];

  beforeAll(async () => {
    server = await RunningServer.start({ clients: 3 });
    ann = await addVisitor(server);
    const args = ['--no-sandbox', '--no-first-run', ...quiet];
    browser = await chromium.launch({ ...(program !== null && { executablePath: program }), args });
  });
  afterAll(async () => {
    await browser?.close();
    await server?.remove();
  });
  afterEach(async () => {
    expect(faults).toEqual([]);
    await context.close();
  });

  const url = (path: string): string => `https://localhost:${server.port}${path}`;

  /** A browser that was never here, with programs switched off unless told. */
  async function open(device: typeof phone | typeof desk, javaScriptEnabled = false): Promise<void> {
    context = await browser.newContext({ ...device, javaScriptEnabled, ignoreHTTPSErrors: true });
    context.setDefaultTimeout(10_000);
    page = await context.newPage();
    faults = [];
    const noteConsole = (message: ConsoleMessage): void => {
      const isRefusal = /the server responded with a status of (403|404)/.test(message.text());
      if (message.type() === 'error' && !isRefusal) faults.push(message.text());
    };
    page.on('console', noteConsole);
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('dialog', (dialog) => {
      faults.push(`dialog ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('request', (request) => {
      if (!request.url().startsWith('data:') && new URL(request.url()).host !== `localhost:${server.port}`) {
        faults.push(request.url());
      }
    });
  }

  async function typeProof(id: string, password = ann.password, code = ann.nextCode()): Promise<void> {
    await page.fill(`#${id}-password`, password);
    await page.fill(`#${id}-code`, code);
  }

  async function logIn(path: string): Promise<void> {
    await page.goto(url(path));
    await page.fill('#login-name', ann.name);
    await typeProof('login');
    await page.click('button.big');
    await page.waitForURL(url(path));
  }

  /** What is wider than the window cannot be read on a phone. */
  async function expectToFit(): Promise<void> {
    const widths = await page.evaluate<number[]>('[document.documentElement.scrollWidth, window.innerWidth]');
    expect(widths[0]).toBeLessThanOrEqual(widths[1] ?? 0);
    expect(await page.locator('script, iframe, object, embed, [style], [onclick]').count()).toBe(0);
  }

  const ask = (client: HonestClient, fingerprint: string): Promise<Answer> =>
    call(server, 'POST', '/v1/open', client.openHeaders(), { ...client.openBody(), fingerprint });

  async function exchange(client: HonestClient, fingerprint: string): Promise<Answer> {
    const answer = await ask(client, fingerprint);
    if (answer.status !== 200) return answer;
    client.opened(String(answer.body.next));
    const body = client.releaseBody(String(answer.body.session), [masterKeyId]);
    const released = await call(server, 'POST', '/v1/release', client.headers(), body);
    if (released.status === 200) client.released();
    return released;
  }

  it('shows a wrong log-in why nothing happened, and lets a right one in', async () => {
    await open(phone);
    await page.goto(url('/admin'));
    await expectToFit();
    await page.fill('#login-name', ann.name);
    await typeProof('login', 'wrong');
    await page.click('button.big');
    await page.getByText('do not fit together').waitFor();
    expect(await page.inputValue('#login-password')).toBe('');
    await typeProof('login');
    await page.click('button.big');
    await page.waitForURL(url('/admin/custody'));
    const [cookie] = await context.cookies();
    expect(cookie).toMatchObject({
      name: '__Host-latchkey',
      httpOnly: true,
      secure: true,
      sameSite: 'Strict',
      expires: -1,
    });
    await page.click('text=Approvals');
    await page.getByText('Nothing waits for you.').waitFor();
    await expectToFit();
    await page.click('text=Log out ann');
    await page.goto(url('/admin/custody'));
    expect(await page.title()).toBe('Log in · Latchkey');
  });

  it('lets a person say yes on a phone, and the machine that asked has its key', async () => {
    const client = server.client(0);
    expect((await exchange(client, fingerprintBefore)).status).toBe(200);
    const held = await exchange(client, fingerprintNow);
    expect([held.status, held.body.code]).toEqual([202, 'approval_pending']);
    const id = String(held.body.approval);
    await open(phone);
    await logIn(`/admin/approvals/${id}`);
    await expectToFit();
    expect(await page.locator('tr.changed >> text=fingerprint').count()).toBe(1);
    expect(await page.locator('.changed-mark').count()).toBe(1);
    await page.locator('#decision-code').press('Enter');
    await typeProof('decision', ann.password, '000000');
    await page.locator('#decision-code').press('Enter');
    await page.click('button[value=approve]');
    await page.getByText('Nothing was done.').waitFor();
    expect((await server.beside((tx) => findApproval(tx, id, server.now()))).state).toBe('pending');
    await typeProof('decision');
    await page.click('button[value=approve]');
    await page.getByText('gets its keys when it asks again').waitFor();
    await expectToFit();
    expect(await server.beside((tx) => findApproval(tx, id, server.now()))).toMatchObject({
      state: 'approved',
      decidedBy: 'page ann',
    });
    expect((await exchange(client, fingerprintNow)).status).toBe(200);
    await page.goto(url(`/admin/approvals/${id}`));
    await page.getByText('Approved and used').waitFor();
    expect(await page.locator('form.card').count()).toBe(0);
  });

  it('lets a person say no, shows what lapsed, and says what is not there', async () => {
    const denied = await heldRequest(server, 1, { reason: attempt, source: attempt });
    const lapsed = await heldRequest(server, 1, { age: 3_600_000 });
    await open(phone);
    await logIn('/admin/approvals');
    expect(await page.locator('.badge').innerText()).toBe('1');
    await page.getByText('not answered').waitFor();
    await page.click('text=Look and decide');
    await expectToFit();
    expect(await page.locator('main').innerText()).toContain(attempt.slice(0, 20));
    await typeProof('decision');
    await page.click('button[value=deny]');
    await page.getByText('Nothing is released to client-1').waitFor();
    expect((await server.beside((tx) => findApproval(tx, denied, server.now()))).state).toBe('denied');
    await page.goto(url(`/admin/approvals/${lapsed}`));
    await page.getByText('This request has lapsed').waitFor();
    await expectToFit();
    await page.goto(url('/admin/approvals/ap-0000000000000000'));
    await page.getByText('There is no such page.').waitFor();
  });

  it('shows how to begin where no client is yet', async () => {
    const [before, visitor] = [server, ann];
    server = await RunningServer.start({ clients: 0 });
    try {
      ann = await addVisitor(server);
      await open(phone);
      await logIn('/admin/custody');
      await page.getByText('No clients yet.').waitFor();
      await page.getByText('None so far.').waitFor();
      expect(await page.locator('figure').count()).toBe(0);
      await expectToFit();
    } finally {
      await server.remove();
      [server, ann] = [before, visitor];
    }
  });

  it('shows custody in quiet days, in colours of the dark, with pictures that are well-formed', async () => {
    await quietDays(server, 0);
    await open(desk, true);
    await logIn('/admin/custody');
    const pictures: string[] = [];
    for (const [range, releases] of [
      ['24h', 24],
      ['7d', 168],
      ['30d', 240],
    ] as const) {
      const answer = await page.goto(url(`/admin/custody/${range}`));
      pictures.push(...((await answer?.text())?.match(/<svg viewBox="0 0 360[\s\S]*?<\/svg>/g) ?? []));
      const card = page.locator('article', { hasText: 'client-0' });
      const counted = /(\d+) releases/.exec(await card.locator('figcaption').innerText())?.[1];
      expect(Number(counted)).toBeGreaterThanOrEqual(releases); // the test before had some, too
      expect(await card.locator('svg .unwatched').count()).toBe(1);
    }
    expect(pictures).toHaveLength(9);
    const isWellFormed = 'new DOMParser().parseFromString(text, "image/svg+xml").querySelector("parsererror") === null';
    const verdicts = await page.evaluate(
      `${JSON.stringify([...pictures, '<svg><rect></svg>'])}.map((text) => ${isWellFormed})`,
    );
    expect(verdicts).toEqual([...pictures.map(() => true), false]);
    // the policy lets no program fetch anything, not even from here
    const fetched = await page.evaluate(() =>
      fetch('/admin/custody')
        .then(() => true)
        .catch(() => false),
    );
    expect(fetched).toBe(false);
    expect(faults.join()).toContain('Content Security Policy');
    faults = [];
    expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe('rgb(15, 19, 24)');
    await expectToFit();
  });

  it('shows an incident, and every word of others as nothing but words', async () => {
    await badDay(server, 2, attempt);
    const client = clientAt(server, 2);
    await server.beside((tx) =>
      raiseAlert(tx, { event: 'client_enrolled', client, source: '127.0.0.1', host: attempt }, server.now()),
    );
    await open(phone);
    await logIn('/admin/custody');
    const card = page.locator('article').first();
    expect(await card.locator('.state').innerText()).toBe('locked: fork');
    expect(await card.locator('svg .fork').count()).toBe(1);
    expect(await card.locator('svg .silent').count()).toBe(2);
    expect(await card.locator('figcaption').innerText()).toContain('41 denials');
    for (const summary of await page.locator('summary').all()) await summary.click();
    await expectToFit();
    expect(await page.locator('ul.alerts').innerText()).toContain('"><script>alert(1)</script>');
    await page.click('text=client-2 >> nth=0');
    await page.waitForURL(url('/admin/clients/client-2'));
    expect(await page.locator('figure').count()).toBe(3);
    await expectToFit();
  });

  it('stops everything and one client, with a reason on record, and releases again', async () => {
    const client = server.client(1);
    await open(desk);
    await logIn('/admin/kill');
    await page.fill('#reason', attempt);
    await typeProof('switch', 'wrong');
    await page.click('button.big');
    await page.getByText('Nothing was done.').waitFor();
    expect(await page.inputValue('#reason')).toBe(attempt);
    await typeProof('switch');
    await page.click('button.big');
    await page.getByText('Nothing is released to anybody').first().waitFor();
    expect((await exchange(client, fingerprintBefore)).body.code).toBe('killed');
    await page.goto(url('/admin/custody'));
    await page.getByText('The kill switch is thrown').waitFor();
    expect(await page.locator('.notice').nth(1).innerText()).toContain(attempt.slice(0, 30));
    await page.click('text=Release again');
    await typeProof('switch');
    await page.click('button.big');
    await page.getByText('is released to again').waitFor();
    expect((await exchange(client, fingerprintBefore)).status).toBe(200);
    await page.goto(url('/admin/kill/client-1'));
    await typeProof('switch');
    await page.click('button.big');
    await page.getByText('Nothing is released to client-1').waitFor();
    expect((await exchange(client, fingerprintBefore)).status).not.toBe(200);
    const acted = (await server.audit()).filter(({ event }) => event === 'admin_acted');
    expect(acted.map(({ detail }) => detail)).toEqual(
      ['kill', 'revive', 'kill'].map((action) => ({ admin: 'ann', action })),
    );
    const [killed] = (await server.audit()).filter(({ event }) => event === 'server_killed');
    expect(killed?.reason).toBe(attempt);
  });
});
