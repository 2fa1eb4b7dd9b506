'use strict';

// What operators do on the screens that are not about talking to a model, with what comes of it at the gateway.

const { ask, assert, busy, chat, open, settle, test } = require('./browser.cjs');

test.before(busy);

// drawn says how many colours a chart has, which is 1 if nothing is drawn on it.
const drawn = (chart) => chart.locator('canvas').evaluate((canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
});

test('usage is drawn, divided, written as a table and exported', async (t) => {
  const page = await open(t, '#/usage');
  const chart = page.getByRole('region', { name: 'Cost by model' });
  await chart.waitFor();
  assert.ok(await drawn(chart) > 5, 'the chart is empty');
  const image = await chart.getByRole('img').getAttribute('aria-label');
  assert.match(image, /^Cost by model\. \$\d+\.\d\d in 30 days; \d+\.\d % of it is claude-sonnet-4-5\.$/);

  await page.getByRole('radio', { name: 'Tenant' }).check();
  await page.getByRole('radio', { name: 'Tokens' }).check();
  const tokens = page.getByRole('region', { name: 'Tokens by tenant' });
  await tokens.getByRole('button', { name: 'Show as table' }).click();
  await tokens.getByRole('columnheader', { name: 'globex' }).waitFor();
  assert.equal(await tokens.getByRole('row').count(), 31);

  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'CSV' }).click()]);
  const { size } = require('node:fs').statSync(await file.path());
  assert.ok(size > 1000 && file.suggestedFilename() === 'usage.csv', `${file.suggestedFilename()} has ${size} bytes`);
});

test('a budget burns down, with where that leads', async (t) => {
  const page = await open(t, '#/usage?tenant=acme');
  const chart = page.getByRole('region', { name: 'Per month' });
  await chart.getByText(/of \$900\.00 spent, \$\d+\.\d\d left; it only warns\. At this pace/).waitFor();
  assert.ok(await drawn(chart) > 5, 'the chart is empty');
});

test('a provider is drained, and enabled again', async (t) => {
  const page = await open(t, '#/providers?q=sim-chat');
  await page.getByRole('button', { name: 'Drain backup / sim-chat' }).click();
  await page.getByLabel('Reason').fill('maintenance');
  await page.getByRole('dialog').getByRole('button', { name: 'Drain' }).click();
  await page.getByText('drained by an operator', { exact: false }).first().waitFor();
  assert.equal((await chat('claude-sonnet-4-5', 'while it is drained')).status, 503);
  await page.getByRole('button', { name: 'Enable backup / sim-chat' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Enable' }).click();
  await page.getByRole('button', { name: 'Drain backup / sim-chat' }).waitFor();
  assert.equal((await chat('claude-sonnet-4-5', 'when it is back')).status, 200);
  assert.match((await ask('/admin/v1/audit?action=target.drain')).text, /maintenance/);
});

test('states of targets are told as they change', async (t) => {
  const page = await open(t, '#/providers?q=shaky');
  await page.getByRole('img', { name: /left alone from/ }).first().waitFor();
  await page.getByRole('cell', { name: /http 503/ }).first().waitFor();
  await page.getByText(/\d requests/).first().waitFor();
});

test('a decision of the cache is explained, the answer rejected, and everything purged', async (t) => {
  const question = 'How long is a piece of string?';
  const page = await open(t, '#/cache');
  const dialog = page.getByRole('dialog');
  await settle(page); // exchanges are remembered while somebody looks on
  await chat('gpt-4.1', question);
  const hit = await chat('gpt-4.1', question, { stream: true });
  assert.equal(hit.headers.get('x-sluice-cache'), 'exact');
  await page.getByRole('row', { name: hit.headers.get('x-request-id') }).click();
  await dialog.getByText('exact', { exact: true }).waitFor();
  await dialog.getByRole('button', { name: 'This answer was wrong' }).click();
  await dialog.waitFor({ state: 'detached' });
  assert.equal((await chat('gpt-4.1', question, { stream: true })).headers.get('x-sluice-cache'), 'miss');

  await page.getByRole('button', { name: 'Purge …' }).click();
  await dialog.getByLabel('Tenant').selectOption('acme');
  await dialog.getByLabel('What').selectOption('Of a model');
  await dialog.getByLabel('Model').fill('gpt-4.1');
  await dialog.getByRole('button', { name: 'Purge' }).click();
  await dialog.getByRole('alert').waitFor();
  await dialog.getByRole('button', { name: 'Yes, purge' }).click();
  await page.getByText(/taken out/).waitFor();
  assert.equal((await chat('gpt-4.1', question)).headers.get('x-sluice-cache'), 'miss');
});

test('a key is made, copied once, used, rotated and revoked', async (t) => {
  const works = async (key) => (await chat('claude-sonnet-4-5', 'Hello', { key })).status;
  const page = await open(t, '#/tenants?tenant=initech');
  const dialog = page.getByRole('dialog');
  // shown takes the secret that is shown once.
  const shown = async () => {
    await dialog.getByText('it cannot be shown again').waitFor();
    await dialog.getByRole('button', { name: 'Copy' }).click();
    await dialog.getByText('Copied').waitFor();
    const secret = await page.evaluate(() => navigator.clipboard.readText());
    await dialog.getByRole('button', { name: 'Done' }).click();
    await dialog.waitFor({ state: 'detached' });
    assert.ok(!(await page.content()).includes(secret), 'the key is still in the page');
    return secret;
  };
  await page.getByRole('button', { name: 'Create key' }).click();
  await dialog.getByLabel('Name').fill('browser');
  await dialog.getByRole('button', { name: 'Create' }).click();
  const secret = await shown();
  assert.equal(await works(secret), 200);

  await page.getByRole('button', { name: 'Rotate browser' }).click();
  await dialog.getByRole('button', { name: 'Rotate' }).click();
  const next = await shown();
  assert.deepEqual([await works(secret), await works(next)], [200, 200]);

  await page.getByRole('button', { name: 'Revoke browser', exact: true }).click();
  await dialog.getByRole('button', { name: 'Revoke' }).click();
  await dialog.waitFor({ state: 'detached' });
  assert.deepEqual([await works(secret), await works(next)], [401, 401]);
});

test('a tenant of the store is changed, and one of a file is not', async (t) => {
  const page = await open(t, '#/tenants');
  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: 'New tenant' }).click();
  await dialog.getByLabel('Id').fill('umbrella');
  await dialog.getByRole('button', { name: 'Make it' }).click();
  await page.getByRole('heading', { level: 1, name: 'umbrella' }).waitFor();
  await page.getByRole('region', { name: 'Limits', exact: true }).getByRole('button', { name: 'Change' }).click();
  await dialog.getByLabel('Requests per minute').fill('120');
  await dialog.getByRole('button', { name: 'Change' }).click();
  await page.getByRole('cell', { name: '120' }).first().waitFor();
  await page.getByRole('region', { name: 'Budgets', exact: true }).getByRole('button', { name: 'Add' }).click();
  await dialog.getByLabel('USD').fill('12.5');
  await dialog.getByRole('button', { name: 'Add' }).click();
  await page.getByRole('cell', { name: '$12.50' }).waitFor();
  await page.getByRole('button', { name: 'Disable' }).click();
  await page.getByText('disabled', { exact: true }).waitFor();
  const { data } = JSON.parse((await ask('/admin/v1/tenants/umbrella')).text);
  assert.deepEqual([data.disabled, data.spec.limits.requests_per_minute, data.spec.budgets[0].usd], [true, 120, '12.5']);
  await page.getByRole('button', { name: 'Delete' }).click();
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('heading', { level: 1, name: 'Tenants' }).waitFor();

  await page.goto('/#/tenants?tenant=acme');
  await page.getByText(/Defined in .*acme\.yaml/).waitFor();
  assert.deepEqual(await page.getByRole('main').getByRole('button').filter({ hasNotText: /^$|Key|Made|Used|Expires/ }).allTextContents(), []);
});
