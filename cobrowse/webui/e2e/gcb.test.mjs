// Pages that were made for the old product, as they are: its snippet, _genesys, and
// what they do with the object of onReady. Their policy is strict.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { launch, person, picture, until } from './people.mjs';
import { startDemo, startService } from './service.mjs';
import { Site } from './site.mjs';
import { watch } from './stage.mjs';
import { ask, click, granted, screen, type } from './viewer.mjs';

/** @type {import('./stage.mjs').Stage} */
const set = /** @type {any} */ ({});
const nonce = 'b3RwYWdl';

// The snippet as it was published; only the address is ours.
const snippet = (/** @type {string} */ app) => `<script nonce="${nonce}">
(function (doc, id, cfg) {
  if (doc.getElementById(id)) return;
  var el = doc.createElement('script');
  el.id = id; el.src = cfg.src; el.setAttribute('data-gcb-url', cfg.app);
  doc.head.appendChild(el);
})(document, 'genesys-js', {src: '${app}/js/gcb.min.js', app: '${app}'});
</script>`;

// What a page hears stands in heard, with the session's digits and how many agents it has.
const hears = `window.heard = []; window.apis = [];
function listen(api, top) {
  apis.push([api, top]);
  Object.keys(api).filter(function (name) { return /^on[A-Z]/.test(name) && name !== 'onMaskedElement'; }).forEach(function (name) {
    api[name].add(function (it, more) {
      var about = more || it;
      heard.push([name, about === null ? null : about.reason || (about.agents ? about.token + ' ' + about.agents.length : about.kind || about)]);
      if (name === 'onWriteModeRequested') window.request = it;
    });
  });
}`;

/**
 * A page of the old product.
 * @param {string} options of _genesys, as JavaScript
 * @param {string} body
 * @param {{after?: boolean, more?: string}} [how] after: the options stand after the snippet
 */
const old = (options, body, { after: late = false, more = '' } = {}) => {
	const app = `${set.service.baseUrl}/cobrowse`;
	const config = `<script nonce="${nonce}">${hears}\n${late ? 'const' : 'var'} _genesys = ${options};${more}</script>`;
	return {
		headers: {
			'content-type': 'text/html; charset=utf-8',
			'content-security-policy': `default-src 'none'; script-src 'nonce-${nonce}' ${set.service.baseUrl}; connect-src 'self' ${set.service.baseUrl} ${set.service.baseUrl.replace('http', 'ws')}; style-src 'self'; img-src data:; frame-src 'self'; base-uri 'none'`,
		},
		body: `<!doctype html><html lang="en"><head><title>Old page</title><link rel="icon" href="data:,">${late ? snippet(app) + config : config + snippet(app)}</head><body>${body}</body></html>`,
	};
};

const form = `<h1>Old page</h1>
<p data-gcb-service-node="true" id="tool">Toolbar</p>
<p id="later">Becomes one</p>
<label>Name <input id="name" data-cb-show></label> <label>Password <input id="secret" type="password"></label>
<p><a id="next" href="/next.html">Next</a></p>`;

before(async () => {
	set.site = await new Site().listen('shop.localhost');
	const page = (/** @type {string} */ target, /** @type {() => any} */ make) => set.site.mount(target, make);
	page('/old.html', () => old('{ buttons: { position: "right" }, cobrowse: { onReady: listen } }', form));
	page('/next.html', () => old('{ cobrowse: { onReady: [listen] } }', '<h1>Next page</h1>', { after: true }));
	page('/own.html', () => old('{ cobrowse: { disableBuiltInUI: true, onReady: listen } }', form));
	page('/media.html', () => old(`{ cobrowse: { onReady: listen, localization: '/words.json', primaryMedia: {
		initializeAsync: function (done) { setTimeout(done, 50); }, isAgentConnected: function () { return window.connected; }, sendCbSessionToken: function (token) { window.chat = token; }
	} } }`, form));
	page('/frame.html', () => old('{ cobrowse: { onReady: listen } }', `<h1>With a frame</h1><iframe src="/inner.html" title="Inner"></iframe>`));
	page('/inner.html', () => old('{ cobrowse: { onReady: listen } }', '<p>Inner page</p><p id="tool">Toolbar</p><input type="password" id="inside">'));
	page('/off.html', () => old('{ cobrowse: false }', form));
	set.site.file('/words.json', '.json', JSON.stringify({ start: 'See it <b>together</b>', 'consent.head': 'Win a prize?', 'waiting.head': 'Your agent gets the number' }));
	set.service = await startService({
		origins: [set.site.origin], deployments: { site: {} },
		settings: ({ deploymentIds }) => ({ legacy: { enabled: true, deployment: deploymentIds.site, allowedOrigins: [set.site.origin], access: { agent: 'origin' } } }),
	});
	set.browser = await launch();
});
after(async () => {
	await set.browser?.close();
	await set.service?.stop();
	set.site?.close();
});
afterEach(async () => {
	for (const session of (await set.service.api.call('GET', '/api/v2/cobrowse/sessions')).entities) {
		await set.service.api.end(session.id);
	}
});

/** @param {string} target @param {import('playwright-core').BrowserContextOptions} [options] */
async function kim(target, options = {}) {
	const customer = await person(set.browser, 'Kim Customer', options);
	await customer.page.goto(set.site.origin + target);
	return customer;
}

/** @typedef {import('./people.mjs').Person} Person */

/** What the page has heard. @param {Person} who @returns {Promise<[string, any][]>} */
const heard = (who) => who.page.evaluate(() => /** @type {any} */ (window).heard);

/** Waits for a signal, and returns what it said. @param {Person} who @param {string} name @param {number} [nth] */
async function hearing(who, name, nth = 0) {
	const all = await until(() => heard(who), (list) => list.filter(([n]) => n === name).length > nth, name);
	return all.filter(([n]) => n === name)[nth][1];
}

/** Calls a member of the page's api. @param {Person} who @param {string} member */
const api = (who, member) => who.page.evaluate((name) => { /** @type {any} */ (window).apis[0][0][name](); }, member);

/** The nine digits on the screen. @param {Person} who */
async function digits(who) {
	await who.widget.find('copy');
	const text = await who.widget.text();
	const found = /\b(\d{3}) (\d{3}) (\d{3})\b/.exec(text);
	assert.ok(found, `no digits in three groups in: ${text}`);
	return found.slice(1).join('');
}

/** The text of the agent's picture. @param {Person} agent */
const seen = (agent) => agent.page.evaluate(() => /** @type {any} */ (document.querySelector('.slot:last-child .replayer-wrapper iframe'))?.contentDocument?.body?.innerText ?? '');

test('a page starts by its button, and an agent types the digits into slave.html', async () => {
	const customer = await kim('/old.html');
	const button = await customer.widget.find('start');
	assert.ok(button.x > 1200 && Math.abs(button.y - 400) < 60, `the button is at ${button.x},${button.y}, want the right edge half way down`);
	assert.deepEqual(await heard(customer), [['onInitialized', null]]);
	await customer.widget.press('start');
	await customer.widget.press('question.no');
	await customer.widget.press('close');
	assert.deepEqual(customer.wire.sent, []);
	await customer.widget.press('start');
	await customer.widget.press('question.yes');
	assert.ok((await customer.widget.text()).includes('Share this page?'), 'the consent is asked for');
	await customer.widget.press('agree');
	const token = await digits(customer);
	assert.equal(await hearing(customer, 'onSessionStarted'), `${token} 0`);
	await picture('gcb-digits', customer.page);

	const agent = await person(set.browser, 'Ada Agent');
	await agent.page.goto(`${set.service.baseUrl}/cobrowse/slave.html#nosidinput=1&sid=${token}&name=Ada%20Agent`);
	await screen(agent, 'live');
	assert.equal(await hearing(customer, 'onAgentJoined'), `${token} 1`);
	await until(() => customer.widget.text(), (text) => text.includes('Ada Agent has joined'), 'the notification');
	await picture('gcb-joined', customer.page, agent.page);
	await until(() => seen(agent), (text) => text.includes('Old page') && text.includes('Becomes one'), 'the page');
	assert.ok(!(await seen(agent)).includes('Toolbar'), 'the service element is not in the picture');
	assert.equal(await agent.page.evaluate(() => {
		const box = /** @type {any} */ (document.querySelector('.slot:last-child .replayer-wrapper iframe')).contentDocument.querySelector('.rr-block').getBoundingClientRect();
		return box.width + box.height;
	}), 0);
	// One that becomes a service element leaves the picture.
	await customer.page.evaluate(() => /** @type {any} */ (window).apis[0][0].markServiceElement(document.querySelector('#later')));
	await until(() => seen(agent), (text) => text.includes('Old page') && !text.includes('Becomes one'), 'a picture without the element');

	// The mode is the customer's to change.
	await ask(agent, 'control', customer);
	assert.equal(await hearing(customer, 'onModeChanged'), 'write');
	await type(agent, customer.page.locator('#name'), 'Kim', ['#name']);
	await picture('gcb-write', customer.page, agent.page);
	await api(customer, 'switchToPointerMode');
	assert.equal(await hearing(customer, 'onModeChanged', 1), 'pointer');

	// Loading anew and going on keep the session, also where the options come after the script.
	await customer.page.reload();
	assert.equal(await hearing(customer, 'onInitialized'), `${token} 1`);
	await customer.page.locator('#next').click();
	await customer.page.waitForURL('**/next.html');
	assert.equal(await hearing(customer, 'onInitialized'), `${token} 1`);
	await until(() => seen(agent), (text) => text.includes('Next page'), 'the next page');
	assert.ok(!(await heard(customer)).some(([name]) => /Started|Joined/.test(name)), 'what was before is not news');
	await customer.widget.press('stop');
	assert.equal(await hearing(customer, 'onSessionEnded'), 'self');
	await screen(agent, 'ended');
	await customer.widget.press('close');
	await customer.widget.find('start');
	assert.deepEqual(customer.problems, []);
	await Promise.all([customer.context.close(), agent.context.close()]);
});

test('a page that draws everything itself', async () => {
	const customer = await kim('/own.html');
	assert.equal(await hearing(customer, 'onInitialized'), null);
	assert.deepEqual(await customer.widget.buttons(), []);
	await api(customer, 'startSession');
	const token = (await hearing(customer, 'onSessionStarted')).slice(0, 9);
	assert.match(token, /^\d{9}$/);
	await customer.page.evaluate(() => {
		/** @type {any} */ (window).masked = [];
		/** @type {any} */ (window).apis[0][0].onMaskedElement.add((/** @type {Element} */ el) => /** @type {any} */ (window).masked.push(el.id));
	});
	await until(() => customer.page.evaluate(() => /** @type {any} */ (window).masked), (list) => list.join() === 'secret', 'the masked element');
	const { id, agent: url } = await set.service.api.attach(token);
	const agent = await watch(set, 'Ada Agent', url);
	await screen(agent, 'live');
	assert.equal(await hearing(customer, 'onAgentJoined'), `${token} 1`);
	assert.equal(await customer.widget.text(), '');
	assert.deepEqual(await customer.widget.buttons(), []);

	// The agent asks, and the page asks the customer.
	await agent.page.locator('li[data-kind=control] button').first().click();
	assert.equal(await hearing(customer, 'onWriteModeRequested'), 'control');
	await customer.page.evaluate(() => /** @type {any} */ (window).request.decline());
	await agent.page.waitForTimeout(200);
	assert.ok(!(await heard(customer)).some(([name]) => name === 'onModeChanged'));
	await customer.page.reload();
	assert.equal(await hearing(customer, 'onInitialized'), `${token} 1`);
	await set.service.api.end(id);
	assert.equal(await hearing(customer, 'onSessionEnded'), 'external');
	assert.equal(await customer.widget.text(), '');
	const record = await set.service.api.record(id);
	assert.equal(record.grants.find((/** @type {any} */ g) => g.kind === 'sharing')?.textVersion, 'page:startSession');
	assert.deepEqual(customer.problems, []);
	await Promise.all([customer.context.close(), agent.context.close()]);
});

test('an agent who may click does not press the page\'s own button that allows more', async () => {
	const customer = await kim('/own.html');
	await until(() => heard(customer), (list) => list.length > 0, 'onInitialized');
	await customer.page.evaluate(() => {
		const page = /** @type {any} */ (window);
		for (const [id, accept] of /** @type {[string, () => any][]} */ ([['accept', () => page.request.accept()], ['later', () => Promise.resolve().then(() => page.request.accept())]])) {
			const button = Object.assign(document.createElement('button'), { id: `${id}-more`, textContent: 'Allow', style: 'padding: 20px' });
			button.onclick = () => {
				button.textContent = 'Pressed';
				accept();
			};
			document.body.append(button);
		}
	});
	await api(customer, 'startSession');
	const { agent: url } = await set.service.api.attach((await hearing(customer, 'onSessionStarted')).slice(0, 9));
	const agent = await watch(set, 'Ada Agent', url);
	await screen(agent, 'live');
	await agent.page.locator('#ask-control').click();
	await hearing(customer, 'onWriteModeRequested');
	await customer.page.locator('#accept-more').click();
	await granted(agent, 'control');
	await agent.page.locator('#ask-navigate').click();
	assert.equal(await hearing(customer, 'onWriteModeRequested', 1), 'navigate');
	await customer.page.evaluate(() => { for (const el of document.querySelectorAll('button')) el.textContent = 'Allow'; });
	for (const id of ['#accept-more', '#later-more']) {
		await click(agent.page, id);
		await until(() => customer.page.locator(id).textContent(), (text) => text === 'Pressed', `${id} pressed by the agent`);
	}
	await agent.page.waitForTimeout(500); // what must not come has had time to come
	assert.equal(await agent.page.locator('li[data-kind=navigate][data-state=granted]').count(), 0);
	await customer.page.locator('#accept-more').click();
	await granted(agent, 'navigate');
	await Promise.all([customer.context.close(), agent.context.close()]);
});

test('a page with media of its own, and words of its own', async () => {
	const customer = await kim('/media.html');
	await until(() => customer.widget.buttons(), (names) => names.join() === 'See it <b>together</b>', 'the page\'s word, as text');
	await customer.page.evaluate(() => { /** @type {any} */ (window).connected = true; });
	await customer.widget.press('start');
	assert.ok((await until(() => customer.widget.text(), (text) => text.includes('?'), 'the consent')).includes('Share this page?'), 'what is agreed to is ours to say');
	await customer.widget.press('agree');
	const token = (await hearing(customer, 'onSessionStarted')).slice(0, 9);
	assert.equal(await customer.page.evaluate(() => /** @type {any} */ (window).chat), token);
	const said = await until(() => customer.widget.text(), (text) => text.includes('Your agent gets the number'), 'what goes on');
	assert.ok(!/\d{3} \d{3}/.test(said), `the number need not be read out: ${said}`);
	const { agent: url } = await set.service.api.attach(token);
	const agent = await watch(set, 'Ada Agent', url);
	await screen(agent, 'live');
	await customer.widget.press('stop');
	assert.equal(await hearing(customer, 'onSessionEnded'), 'self');
	// Without an agent on the line it asks, and shows the number.
	await customer.page.evaluate(() => { /** @type {any} */ (window).connected = false; });
	await customer.widget.press('close');
	await customer.widget.press('start');
	await customer.widget.press('question.yes');
	await customer.widget.press('agree');
	assert.notEqual(await digits(customer), token);
	assert.equal(await customer.page.evaluate(() => /** @type {any} */ (window).chat), token);
	assert.deepEqual(customer.problems, []);
	await Promise.all([customer.context.close(), agent.context.close()]);
});

test('by keyboard alone: one sees which button has the focus', async () => {
	const customer = await kim('/old.html');
	await customer.widget.press('start');
	/** The ring around a button, if it is one that can be seen on the button and around it. @param {string} key */
	const ring = async (key) => {
		const look = await customer.widget.look(key);
		const seen = look['outline-style'] === 'solid' && parseFloat(look['outline-width']) >= 2 && parseFloat(look['outline-offset']) > 0;
		return seen && look['outline-color'] !== look['background-color'];
	};
	for (const yes of ['question.yes', 'agree']) {
		const { y } = await customer.widget.find(yes); // it can be pressed now
		assert.ok(y > 0);
		await customer.page.keyboard.press('Tab');
		assert.equal(await ring(yes), false, `${yes} before it has the focus`);
		await customer.page.keyboard.press('Tab');
		assert.equal(await ring(yes), true, `${yes} with the focus`);
		await customer.page.keyboard.press('Enter');
	}
	await digits(customer);
	await customer.widget.press('stop');
	assert.equal(await hearing(customer, 'onSessionEnded'), 'self');
	await customer.context.close();
});

test('a session that ends while the page is away, and one in another tab', async () => {
	const customer = await kim('/own.html');
	await hearing(customer, 'onInitialized');
	await api(customer, 'startSession');
	const token = (await hearing(customer, 'onSessionStarted')).slice(0, 9);
	const tab = await customer.context.newPage();
	await tab.goto(`${set.site.origin}/own.html`);
	await until(() => tab.evaluate(() => /** @type {any} */ (window).heard), (list) => list.length > 0, 'the other tab');
	// The page asks for it here: this tab is shared now, with the same digits.
	await tab.evaluate(() => { /** @type {any} */ (window).apis[0][0].startSession(); });
	await until(() => tab.evaluate(() => /** @type {any} */ (window).heard), (list) => list.some(([name, about]) => name === 'onSessionStarted' && about.startsWith(token)), 'the session in the other tab');
	assert.equal(await hearing(customer, 'onSessionEnded'), 'self');
	const { entities } = await set.service.api.call('GET', '/api/v2/cobrowse/sessions');
	assert.equal(entities.length, 1);
	await tab.goto('about:blank');
	await set.service.api.end(entities[0].id);
	await tab.goto(`${set.site.origin}/own.html`);
	await until(() => tab.evaluate(() => /** @type {any} */ (window).heard), (list) => JSON.stringify(list) === '[["onInitialized",null],["onSessionEnded","timeout"]]', 'the end, told to the page that comes back');
	await customer.context.close();
});

test('a page in a frame gets a part of it, and one that switches it off nothing', async () => {
	const customer = await kim('/frame.html');
	await hearing(customer, 'onInitialized');
	const inner = /** @type {import('playwright-core').Frame} */ (await until(() => customer.page.frames().find((f) => f.url().endsWith('/inner.html')), Boolean, 'the frame'));
	const child = await until(() => inner.evaluate(() => /** @type {any} */ (window).apis.map(([it, top]) => [Object.keys(it).sort(), it.isTopContext, top])), (list) => list.length === 1, 'onReady in the frame');
	assert.deepEqual(child[0], [['configuration', 'isBrowserSupported', 'isTopContext', 'markServiceElement', 'onMaskedElement'], false, false]);
	assert.equal((await customer.widget.buttons()).length, 1);
	await inner.evaluate(() => {
		const [it] = /** @type {any} */ (window).apis[0];
		it.markServiceElement(document.querySelector('#tool'));
		/** @type {any} */ (window).masked = [];
		it.onMaskedElement.add((/** @type {Element} */ el) => /** @type {any} */ (window).masked.push(el.id));
	});
	await customer.widget.press('start');
	await customer.widget.press('question.yes');
	await customer.widget.press('agree');
	const token = await digits(customer);
	await until(() => inner.evaluate(() => /** @type {any} */ (window).masked.join()), (list) => list === 'inside', 'the masked element in the frame');
	const { agent: url } = await set.service.api.attach(token);
	const agent = await watch(set, 'Ada Agent', url);
	await screen(agent, 'live');
	const inside = () => agent.page.evaluate(() => /** @type {any} */ (document.querySelector('.slot:last-child .replayer-wrapper iframe'))?.contentDocument?.querySelector('iframe')?.contentDocument?.body?.innerText ?? '');
	assert.ok(!(await until(inside, (text) => text.includes('Inner page'), 'the frame in the picture')).includes('Toolbar'));

	// Later ones of a frame leave the picture as well.
	await inner.evaluate(() => /** @type {any} */ (window).apis[0][0].markServiceElement(document.querySelector('p')));
	await until(inside, (text) => !text.includes('Inner page'), 'a frame without the element');

	const off = await kim('/off.html');
	await off.page.waitForLoadState('networkidle');
	assert.deepEqual(await off.widget.buttons(), []);
	assert.deepEqual(await off.page.evaluate(() => /** @type {any} */ (window).apis), []);
	await Promise.all([customer.context.close(), agent.context.close(), off.context.close()]);
});

test('the demonstration\'s old page, small and dark', async () => {
	const demo = await startDemo();
	try {
		const customer = await person(set.browser, 'Kim Customer', { viewport: { width: 390, height: 844 }, colorScheme: 'dark', locale: 'de-DE' });
		await customer.page.goto(`${demo.info.baseUrl}/shop/legacy`);
		await customer.widget.press('start');
		await customer.widget.press('question.yes');
		await picture('gcb-demo', customer.page);
		await customer.widget.press('agree');
		const token = await digits(customer);
		const agent = await person(set.browser, 'Ada Agent');
		await agent.page.goto(`${demo.info.baseUrl}/cobrowse/slave.html#sid=${token}`);
		await screen(agent, 'live');
		await until(() => customer.page.locator('[data-signals]').innerText(), (text) => text.includes('onAgentJoined'), 'what the page hears');
		assert.deepEqual(customer.problems, []);
		await Promise.all([customer.context.close(), agent.context.close()]);
	} finally {
		await demo.stop();
	}
});
