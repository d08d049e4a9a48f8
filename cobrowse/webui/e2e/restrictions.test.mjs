// A file of DOM restrictions, as the old product has it: what it masks and locks on
// which pages, while the customer goes from one to the other without a load.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';

import { mask } from './mirror.mjs';
import { until } from './people.mjs';
import { pair, stage } from './stage.mjs';
import { ask, click } from './viewer.mjs';
import { leaks } from './wire.mjs';

const dir = mkdtempSync(path.join(tmpdir(), 'cobridge-restrictions-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const file = path.join(dir, 'restrictions.xml');
writeFileSync(file, '<?xml version="1.0" encoding="UTF-8"?>\n<domRestrictions/>\n');

const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Basket</title><style>button, input { padding: 20px; }</style></head><body>
<h1>Basket</h1><p class="balance">Balance 1234567890</p>
<label>Card <input id="cardNumber" data-cb-show></label> <label>Password <input id="password" type="password" data-cb-show></label>
<button type="button" class="place-order" onclick="this.textContent = 'Ordered'">Place order</button>
<button type="button" id="plain" onclick="this.textContent = 'Pressed'">Press</button></body></html>`;

const outer = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Outer</title></head><body><h1>Outer</h1>
<iframe id="a" src="/inner?a" title="a"></iframe><div class="hidden"><input data-cb-show><iframe id="b" src="/inner?b" title="b"></iframe></div></body></html>`;
const inner = '<!doctype html><script>var parent = document.documentElement;</script><p>Inner</p><p class="hidden">rokudeva 1</p><p class="own">Own</p>';

const set = stage({
	rules: { pageRules: [{ urlPattern: '.*/outer', maskSelectors: ['.hidden'] }, { urlPattern: '.*/inner[?]a', maskSelectors: ['.own'] }] },
	build: (site) => site.page('/basket', html).page('/checkout', html).page('/outer', outer)
		.mount('/inner', () => ({ headers: { 'content-type': 'text/html; charset=utf-8' }, body: inner })),
	settings: ({ deploymentIds }) => ({
		legacy: { enabled: true, deployment: deploymentIds.site, allowedOrigins: [set.site.origin], domRestrictions: { source: file, every: '1s' } },
	}),
});

/** What an agent sees of an element: its text, or its value. @param {import('./people.mjs').Person} agent @param {string} selector */
const seen = (agent, selector) => agent.page.evaluate((wanted) => {
	const frame = /** @type {HTMLIFrameElement | null} */ (document.querySelector('.slot:last-child .replayer-wrapper iframe'));
	const el = /** @type {any} */ (frame?.contentDocument?.querySelector(wanted));
	return el && (el.localName === 'input' ? el.value : el.textContent);
}, selector);

/** @param {import('./people.mjs').Person} agent @param {string} selector @param {string} wanted */
const sees = (agent, selector, wanted) => until(() => seen(agent, selector), (text) => text === wanted, `${selector} as ${wanted}`);

/** Goes to another address without a load, and changes the balance along with it. @param {import('./people.mjs').Person} customer @param {string} to @param {string} balance */
const go = (customer, to, balance) => customer.page.evaluate(([address, text]) => {
	history.pushState({}, '', address);
	/** @type {HTMLElement} */ (document.querySelector('.balance')).textContent = text;
}, [to, balance]);

/** Clicks, and returns why that was refused. @param {import('./people.mjs').Person} agent @param {string} selector */
async function pressed(agent, selector) {
	const before = agent.wire.frames('received', 'done').length;
	await click(agent.page, selector);
	return (await until(() => agent.wire.frames('received', 'done').slice(before), (done) => done.length > 0, 'the answer'))[0].why;
}

test('rules by address, of a file that changes', { timeout: 120_000 }, async () => {
	const { customer, agent } = await pair(set, '/basket');
	await sees(agent, '.balance', 'Balance 1234567890');
	// The file has no rules, and passwords are masked.
	await customer.page.locator('#password').fill('pass-4711-word');
	await sees(agent, '#password', mask);
	await customer.page.locator('#cardNumber').fill('none of the rules');
	await sees(agent, '#cardNumber', 'none of the rules');

	writeFileSync(file, `<?xml version="1.0" encoding="UTF-8"?>
<domRestrictions>
  <restrictionsSet>
    <uriTemplate type="regexp" pattern="(?i)https?://[^/]+/Checkout(?:\\?.*)?"/>
    <dataMasking><element selector="#cardNumber"/><element selector=".balance"/></dataMasking>
    <domControl><element selector="button.place-order"/></domControl>
  </restrictionsSet>
</domRestrictions>`);
	const settings = `${set.service.baseUrl}/api/v2/cobrowse/deployments/${set.service.deploymentIds.site}/settings`;
	await until(async () => (await (await fetch(settings)).json()).rules.pageRules, (rules) => rules.length === 3, 'the rules of the file');
	await customer.page.reload();
	await sees(agent, '#password', '');
	await sees(agent, '.balance', 'Balance 1234567890');

	await go(customer, '/checkout?step=2#top', 'Balance 5550001111');
	await customer.page.locator('#cardNumber').fill('4012888888881881');
	await sees(agent, '.balance', mask);
	await sees(agent, '#cardNumber', mask);
	await customer.page.locator('#cardNumber').blur();
	await ask(agent, 'control', customer);
	assert.equal(await pressed(agent, '.place-order'), 'readonly');
	assert.equal(await pressed(agent, '#cardNumber'), 'masked');
	assert.equal(await pressed(agent, '#plain'), undefined);
	await sees(agent, '#plain', 'Pressed');

	await customer.page.locator('#cardNumber').fill('');
	await go(customer, '/basket', 'Balance 99');
	await sees(agent, '.balance', 'Balance 99');
	assert.equal(await pressed(agent, '.place-order'), undefined);
	await sees(agent, '.place-order', 'Ordered');

	// What stands there already is hidden by the next picture, without a change of the page.
	await customer.page.evaluate(() => history.pushState({}, '', '/checkout'));
	await sees(agent, '.balance', mask);
	assert.deepEqual(leaks(customer.wire.left(set.service.baseUrl), ['pass-4711-word', '5550001111', '4012888888881881']), []);
	assert.deepEqual(leaks(agent.wire.received, ['pass-4711-word', '5550001111', '4012888888881881']), []);
});

test('rules by address, where the address changes before the page does, or is another way to write it', { timeout: 120_000 }, async () => {
	const { customer, agent } = await pair(set, '/checkout?step=1');
	const secrets = ['4929000000006', '7770002222', '8880003333'];
	const write = (/** @type {string} */ balance) => customer.page.evaluate((text) => {
		/** @type {HTMLElement} */ (document.querySelector('.balance')).innerHTML = `<b title="${text}">${text}</b>`;
	}, balance);
	await sees(agent, '.balance', mask);
	await write('7770002222');
	await customer.page.locator('#cardNumber').fill('4929000000006');
	await sees(agent, '#cardNumber', mask);

	// As with the button back: what stands there is still that of the old address.
	await customer.page.evaluate(() => {
		history.pushState({}, '', '/basket');
		/** @type {HTMLElement} */ (document.querySelector('h1')).textContent = 'Leaving';
	});
	await sees(agent, 'h1', 'Leaving');
	assert.equal(await seen(agent, '.balance'), mask);
	assert.equal(await seen(agent, '#cardNumber'), mask);
	await write('Balance 99');
	await sees(agent, '.balance', 'Balance 99');

	await customer.page.evaluate(() => {
		history.pushState({}, '', '/;a=b//%63heckout?step=1');
		/** @type {HTMLElement} */ (document.querySelector('.balance')).textContent = '8880003333';
	});
	await sees(agent, '.balance', mask);
	assert.deepEqual(leaks(customer.wire.left(set.service.baseUrl), secrets), []);
	assert.deepEqual(leaks(agent.wire.received, secrets), []);
});

test('rules by address in frames, whatever their scripts call things, and for what is just being taken out', { timeout: 120_000 }, async () => {
	const { customer, agent } = await pair(set, '/outer');
	await sees(agent, 'h1', 'Outer');
	const shows = (/** @type {string} */ what) => until(() => agent.wire.received.join(), (all) => all.includes(what), what);
	await shows('Inner');
	await customer.page.evaluate(() => {
		const frames = ['a', 'b'].map((id) => /** @type {HTMLIFrameElement} */ (document.getElementById(id)));
		for (const [i, frame] of frames.entries()) {
			const own = /** @type {HTMLElement} */ (frame.contentDocument?.querySelector('.own'));
			/** @type {Text} */ (own.firstChild).data = `rokudeva 2${i}`;
			own.title = `rokudeva 3${i}`;
			if (i === 1) frame.contentDocument?.body.append('rokudeva 4'); // that frame stands in what is hidden
			frame.remove();
		}
		const field = /** @type {HTMLInputElement} */ (document.querySelector('.hidden input'));
		field.remove();
		field.value = 'rokudeva 5';
		field.dispatchEvent(new Event('input', { bubbles: true }));
		/** @type {HTMLElement} */ (document.querySelector('h1')).textContent = 'Without frames';
	});
	await sees(agent, 'h1', 'Without frames');
	assert.deepEqual(leaks(customer.wire.left(set.service.baseUrl), ['rokudeva']), []);
	assert.deepEqual(leaks(agent.wire.received, ['rokudeva']), []);
});
