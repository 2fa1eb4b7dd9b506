'use strict';

// With a hundred thousand rows in the ledger the screens stay quick: they ask for sums and pages, never for everything.

const zlib = require('node:zlib');
const { ask, assert, open, settle, test } = require('./browser.cjs');

// Bounds of what a screen may take, far above what it takes: who reads every row misses them by far.
const most = { bytes: 300_000, milliseconds: 5000, stall: 1500 };

test('there are as many rows as that', async () => {
  const { data } = JSON.parse((await ask('/admin/v1/usage?by=all')).text);
  assert.ok(data[0].attempts + data[0].cached >= 99_000, JSON.stringify(data));
});

test('every screen asks for little, and stands soon', async (t) => {
  const page = await open(t, '#/overview');
  await settle(page);
  let asked = [];
  let all = 0;
  page.on('requestfinished', (r) => { if (r.url().includes('/admin/')) asked.push(r); });
  await page.evaluate(() => {
    window.stalls = [];
    new PerformanceObserver((list) => window.stalls.push(...list.getEntries().map((e) => e.duration))).observe({ type: 'longtask' });
  });
  for (const screen of ['usage', 'usage?range=90&by=key', 'usage?range=1&measure=tokens', 'requests', 'cache', 'tenants', 'tenants?tenant=acme', 'overview']) {
    asked = [];
    const begun = performance.now();
    await page.goto('/#/' + screen);
    await settle(page);
    const took = performance.now() - begun;
    assert.deepEqual(asked.map((r) => r.url()).filter((url) => url.includes('/admin/v1/ledger')), [], screen);
    const sizes = await Promise.all(asked.map((r) => r.sizes()));
    const bytes = sizes.reduce((sum, s) => sum + s.responseBodySize, 0);
    all += bytes;
    assert.ok(bytes < most.bytes, `${screen} asks for ${bytes} bytes`);
    assert.ok(took < most.milliseconds, `${screen} takes ${took} ms`);
  }
  assert.ok(all > 10_000, `nothing was counted: ${all} bytes`);
  const stalls = await page.evaluate(() => window.stalls);
  assert.ok(Math.max(0, ...stalls) < most.stall, `the page stood still for ${Math.max(...stalls)} ms`);
});

test('the page has at most 100 kB, gzipped', async () => {
  let bytes = 0;
  for (const path of ['/', '/app.js', '/app.css']) bytes += zlib.gzipSync((await ask(path)).text, { level: 9 }).length;
  assert.ok(bytes > 10_000 && bytes <= 100_000, `${bytes} bytes`);
});
