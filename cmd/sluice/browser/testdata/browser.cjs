'use strict';

// What the scripts share: a browser, and pages of the console that tell what they complain about.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const test = require('node:test');
const { chromium } = require('playwright-core');

const { CHROMIUM, PICTURES, CONSOLE, API, API_KEY } = process.env;

const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const sizes = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

let browser;
test.before(async () => { browser = await chromium.launch({ executablePath: CHROMIUM }); });
test.after(() => browser.close());

// open gives a page at a hash of the console. At the end of the test nothing may be in the browser's log but what the test
// has forgiven (regular expressions in page.forgiven), no request may have gone elsewhere, and no dialog may have opened. What a
// context needs before it has a page is for before.
async function open(t, hash, { theme = 'light', size = 'desktop', origin = CONSOLE, before = () => {} } = {}) {
  const context = await browser.newContext({
    baseURL: origin, colorScheme: theme, viewport: sizes[size], reducedMotion: 'reduce', timezoneId: 'UTC', locale: 'en-GB',
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  context.setDefaultTimeout(10_000);
  await before(context);
  const page = await context.newPage();
  page.forgiven = [];
  page.complaints = [];
  const complain = (text) => page.complaints.push(text);
  page.on('console', (m) => { if (['error', 'warning'].includes(m.type())) complain(`${m.type()}: ${m.text()} ${m.location().url}`); });
  page.on('pageerror', (e) => complain(`exception: ${e.stack ?? e}`));
  page.on('dialog', (d) => { complain(`dialog: ${d.message()}`); void d.dismiss(); });
  page.on('popup', (p) => complain(`popup: ${p.url()}`));
  context.on('request', (r) => { if (new URL(r.url()).origin !== origin) complain(`fetched: ${r.url()}`); });
  await context.route((url) => url.origin !== origin, (route) => route.abort());
  t.after(async () => {
    await context.close();
    assert.deepEqual(page.complaints.filter((c) => !page.forgiven.some((f) => f.test(c))), []);
  });
  await page.goto('/' + hash);
  return page;
}

// settle waits until a screen shows what it has asked for.
async function settle(page) {
  await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); })); // the new address is drawn
  await page.locator('main h1').waitFor();
  await page.waitForFunction(() => document.querySelector('main .waiting, main [aria-busy="true"]') === null);
}

// violations are what axe-core finds, each with the elements.
async function violations(page) {
  await page.evaluate(axe);
  const { violations: found } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
  return found.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.any.map((a) => a.message)}`).join(' | ')}`);
}

// picture keeps what is to be seen.
async function picture(page, name) {
  await page.screenshot({ path: path.join(PICTURES, name + '.png'), animations: 'disabled', caret: 'hide' });
}

// ask is a call of the API, or with an admin path one of the operators'.
async function ask(what, { method = what.startsWith('/v1/') ? 'POST' : 'GET', body, key = API_KEY, headers = {} } = {}) {
  const ours = what.startsWith('/v1/');
  const answer = await fetch((ours ? API : CONSOLE) + what, {
    method, headers: { ...(ours ? { authorization: 'Bearer ' + key } : {}), ...(body ? { 'content-type': 'application/json' } : {}), ...headers },
    body: body && JSON.stringify(body),
  });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
}

// chat asks a model.
function chat(model, content, more = {}) {
  const { headers, key, ...body } = more;
  return ask('/v1/chat/completions', { body: { model, messages: [{ role: 'user', content }], ...body }, headers, key });
}

// busy makes a day of it: a tenant that the store keeps, hits and misses of the cache, and targets that fail.
async function busy() {
  const made = await ask('/admin/v1/tenants', { method: 'POST', body: { id: 'initech', name: 'Initech', limits: { requests_per_minute: 600 }, budgets: [{ usd: 500, per: 'month' }] } });
  assert.ok([201, 409].includes(made.status), made.text);
  for (let i = 0; i < 6; i++) {
    await chat('gpt-4.1-mini', `What is ${i % 2} and ${i % 2}?`);
    await chat('claude-sonnet-4-5', `Hello for the ${i}th time`, { stream: true });
    await chat('shaky', `Is anybody there, ${i}?`);
  }
}

// relay is a network between the browser and the console that can be cut: cut() breaks every connection and takes no new
// ones until mend().
async function relay(t) {
  const { hostname, port } = new URL(CONSOLE);
  const sockets = new Set();
  let whole = true;
  const server = net.createServer((near) => {
    if (!whole) { near.resetAndDestroy(); return; }
    const far = net.connect(Number(port), hostname);
    for (const [a, b] of [[near, far], [far, near]]) {
      sockets.add(a);
      a.on('error', () => {}).on('close', () => { sockets.delete(a); b.destroy(); });
      a.pipe(b);
    }
  });
  await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
  const cut = () => { whole = false; for (const s of sockets) s.resetAndDestroy(); };
  t.after(() => { cut(); server.close(); });
  return { origin: `http://127.0.0.1:${server.address().port}`, cut, mend: () => { whole = true; } };
}

module.exports = { ask, assert, busy, chat, open, picture, relay, settle, test, violations };
