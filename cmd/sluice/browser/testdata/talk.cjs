'use strict';

// Talking to a model in the playground.

const { settle } = require('./browser.cjs');

// speak chooses a model and gives a function that says something to it, and waits for the end of the answer.
async function speak(page, model) {
  await settle(page);
  await page.getByRole('combobox', { name: 'Model' }).selectOption(model);
  let turns = await page.getByRole('article').count();
  return async (text) => {
    await page.getByRole('textbox', { name: 'Message' }).fill(text);
    await page.keyboard.press('Enter');
    const answer = page.getByRole('article').nth(turns++);
    await answer.and(page.locator('[aria-busy="false"]')).waitFor();
    return answer;
  };
}

module.exports = { speak };
