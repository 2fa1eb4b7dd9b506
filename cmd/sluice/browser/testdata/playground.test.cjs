'use strict';

// The playground: answers stream over the WebSocket, can be stopped, and go on where the network was cut.

const { ask, assert, open, relay, settle, test } = require('./browser.cjs');
const { speak } = require('./talk.cjs');

// What the model "slow" says, a number at a time.
const counted = Array.from({ length: 100 }, (_, i) => `${i} `).join('');

// say sends a message, without waiting for the answer.
async function say(page, text) {
  await page.getByRole('textbox', { name: 'Message' }).fill(text);
  await page.keyboard.press('Enter');
}

const textOf = (answer) => answer.locator('.markdown').innerText();

test('an answer streams, with what it took', async (t) => {
  const page = await open(t, '#/playground');
  const tell = await speak(page, 'claude-sonnet-4-5');
  const answer = await tell('repeat after me: **bold** and [a link](https://example.org/)');
  await answer.locator('strong', { hasText: 'bold' }).waitFor();
  assert.equal(await answer.getByRole('link', { name: 'a link' }).getAttribute('rel'), 'noopener noreferrer');
  for (const figure of [/first token \d/, /\d tokens/, /backup/, /\$0\.\d/]) await answer.getByText(figure).first().waitFor();
});

test('what comes is shown as it comes, and stops when it is told to', async (t) => {
  const page = await open(t, '#/playground');
  await speak(page, 'slow');
  await say(page, 'count');
  const answer = page.getByRole('article');
  await answer.getByText('0 1 2 3').waitFor();
  assert.equal(await answer.getAttribute('aria-busy'), 'true');
  await answer.getByRole('button', { name: 'Stop' }).click();
  await answer.getByText('stopped', { exact: true }).waitFor();
  const text = await textOf(answer);
  assert.ok(text.length < counted.length / 2 && counted.startsWith(text.trim()), text);
  // The provider was left: the exchange is at its end long before the model's.
  const { exchanges } = JSON.parse((await ask('/admin/v1/exchanges?limit=1')).text);
  assert.equal(exchanges[0]?.model, 'slow');
});

test('an answer goes on where the network was cut, without being asked for again', async (t) => {
  const network = await relay(t);
  const page = await open(t, '#/playground', { origin: network.origin });
  page.forgiven.push(/ERR_CONNECTION_(RESET|REFUSED|CLOSED)|ERR_EMPTY_RESPONSE|WebSocket connection to/);
  const asked = async () => JSON.parse((await ask('/admin/v1/exchanges?limit=1000')).text).exchanges.filter((x) => x.model === 'slow').length;
  const before = await asked();
  await speak(page, 'slow');
  await say(page, 'count on');
  const answer = page.getByRole('article');
  await answer.getByText('18 19 20').waitFor();
  network.cut();
  const held = await textOf(answer);
  assert.ok(held.length < counted.length / 2, held);
  network.mend();
  await answer.and(page.locator('[aria-busy="false"]')).waitFor({ timeout: 30_000 });
  assert.equal((await textOf(answer)).trim(), counted.trim());
  assert.equal(await asked(), before + 1);
});

test('two models answer side by side, and the conversation survives a reload', async (t) => {
  const page = await open(t, '#/playground');
  await settle(page);
  await page.getByRole('button', { name: 'Compare two' }).click();
  await page.getByRole('combobox', { name: 'Model 1' }).selectOption('claude-sonnet-4-5');
  await page.getByRole('combobox', { name: 'Model 2' }).selectOption('gpt-4.1');
  await say(page, 'repeat after me: both');
  for (const side of [0, 1]) await page.getByRole('article').nth(side).and(page.locator('[aria-busy="false"]')).waitFor();
  await page.getByRole('article', { name: 'Answer of gpt-4.1' }).getByText('both').waitFor();
  const [left, right] = await Promise.all([0, 1].map((i) => page.getByRole('article').nth(i).boundingBox()));
  assert.ok(Math.abs(left.y - right.y) < 4 && left.x + left.width <= right.x, 'they do not stand side by side');
  await page.reload();
  await page.getByRole('article', { name: 'Answer of gpt-4.1' }).getByText('both').waitFor();
  assert.equal(await page.getByRole('article').count(), 2);
});

test('a request is copied as a command that works', async (t) => {
  const page = await open(t, '#/playground');
  const tell = await speak(page, 'gpt-4.1');
  const answer = await tell('copy me');
  for (const language of ['curl', 'Python', 'JavaScript']) {
    await answer.getByRole('button', { name: 'Copy …' }).click();
    await answer.getByText(`As ${language}`).click();
    const text = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(text, /copy me/);
    assert.match(text, /gpt-4\.1/);
    await page.keyboard.press('Escape');
  }
});
