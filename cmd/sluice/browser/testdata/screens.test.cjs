'use strict';

// Every screen, in both themes, on a desktop and on a phone: nothing in the browser's log, nothing that axe-core finds, nothing
// wider than the page, and a picture.

const { assert, busy, open, picture, settle, test, violations } = require('./browser.cjs');

const screens = ['overview', 'playground', 'requests', 'usage', 'providers', 'cache', 'tenants', 'tenants?tenant=acme', 'tenants?tenant=initech', 'configuration'];

// kept are the screens whose pictures are in the README.
const kept = ['playground', 'requests', 'usage', 'providers'];

// What is done on a screen before it is looked at.
const stage = {
  async playground(page) {
    await page.getByRole('button', { name: 'Compare two' }).click();
    await page.getByRole('combobox', { name: 'Model 1' }).selectOption('claude-sonnet-4-5');
    await page.getByRole('combobox', { name: 'Model 2' }).selectOption('shaky');
    await page.getByRole('textbox', { name: 'Message' }).fill('List three reasons to put a gateway before language models.');
    await page.keyboard.press('Enter');
    for (const side of [0, 1]) await page.getByRole('article').nth(side).and(page.locator('[aria-busy="false"]')).waitFor();
  },
  async requests(page) {
    await page.getByRole('row').filter({ hasText: '3 attempts' }).first().click();
  },
};

test.before(busy);

for (const size of ['desktop', 'phone']) {
  for (const theme of ['light', 'dark']) {
    test(`${theme}, ${size}`, async (t) => {
      const page = await open(t, '#/overview', { theme, size });
      for (const screen of screens) {
        await page.goto('/#/' + screen);
        await settle(page);
        await stage[screen]?.(page);
        if (kept.includes(screen)) await picture(page, `${screen}-${theme}-${size}`);
        assert.deepEqual(await violations(page), [], screen);
        assert.equal(await page.evaluate(() => Math.max(document.documentElement.scrollWidth - innerWidth, 0)), 0, `${screen} is wider than the page`);
      }
    });
  }
}

test('an empty screen gives the next command', async (t) => {
  const page = await open(t, '#/usage?tenant=hooli');
  await page.getByText('Nothing was used').waitFor();
  await page.getByText('sluice chat').waitFor();
  await page.getByText('hooli has no budget').waitFor();
  await page.goto('/#/tenants?tenant=hooli');
  await page.getByText('sluice keys create hooli').waitFor();
});

test('the keyboard alone goes everywhere', async (t) => {
  const page = await open(t, '#/tenants');
  await settle(page);
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Filter tenants');
  await page.keyboard.type('init');
  await page.getByRole('row', { name: /initech/ }).waitFor();
  assert.equal(await page.getByRole('row', { name: /acme/ }).count(), 0);
  await page.getByRole('row', { name: /initech/ }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'initech' }).waitFor();
  await page.getByRole('button', { name: 'Create key' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
});
