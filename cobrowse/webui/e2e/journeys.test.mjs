// The customer moves on: reloads, other pages, back, a page that is never shown,
// a second tab, a network that is gone for half a minute. Nobody joins again.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { same, see } from './mirror.mjs';
import { patience, picture, until } from './people.mjs';
import { pair, reaches, stage } from './stage.mjs';
import { Widget } from './widget.mjs';

const set = stage({ rules: { pauseCriteria: [{ urlFragment: '/payment/', condition: 'Includes' }] } });

/** Marks a viewer's page; a page that was loaded anew has no mark. @param {import('playwright-core').Page} viewer */
const mark = (viewer) => viewer.evaluate(() => {
	/** @type {any} */ (window).marked = true;
});

/** @param {import('playwright-core').Page} viewer */
const marked = (viewer) => viewer.evaluate(() => /** @type {any} */ (window).marked === true);

test('reload, another page, back and forward', async () => {
	const { customer, agent, session } = await pair(set, '/');
	await same(customer.page, agent.page);
	await mark(agent.page);

	await customer.page.locator('#more').click();
	await customer.page.locator('#town').fill('Lindau');
	await same(customer.page, agent.page);
	for (let i = 0; i < 3; i++) {
		await customer.page.reload();
		await same(customer.page, agent.page);
	}
	await customer.page.getByRole('link', { name: 'Spades' }).click();
	await customer.page.waitForURL('**/second.html');
	assert.ok((await same(customer.page, agent.page)).text.includes('19.50'));
	await customer.page.goBack();
	assert.ok((await same(customer.page, agent.page)).text.includes('sheds'));
	await customer.page.goForward();
	assert.ok((await same(customer.page, agent.page)).text.includes('19.50'));
	await customer.page.locator('#pieces').fill('12');
	await same(customer.page, agent.page);
	assert.ok(await marked(agent.page), 'the agent has not joined again');

	await set.service.api.end(session);
	await until(() => set.service.api.record(session).catch(() => ({ pages: [] })), (record) => record.pages.length > 0, 'record');
	const record = await set.service.api.record(session);
	const paths = record.pages.map((/** @type {any} */ page) => new URL(page.url).pathname);
	assert.deepEqual(paths.filter((/** @type {string} */ p, /** @type {number} */ i) => p !== paths[i - 1]), ['/', '/second.html', '/', '/second.html']);
	for (const page of record.pages) {
		assert.ok(page.durationSeconds >= 0 && page.dateEntered, JSON.stringify(page));
	}
});

test('a page that is never shown', async () => {
	const { customer, agent } = await pair(set, '/');
	await same(customer.page, agent.page);
	await mark(agent.page);
	await customer.page.getByRole('link', { name: 'Pay' }).click();
	await customer.page.waitForURL('**/payment/card.html');
	await reaches(customer, 'paused');
	await until(() => agent.page.locator('body').innerText(), (text) => /paus/i.test(text), 'word of the pause');
	await customer.page.locator('#card').pressSequentially('kibodarumo 4711');
	await customer.page.waitForTimeout(500); // what must not come has had time to come
	await picture('paused', customer.page, agent.page);
	assert.ok(!(await see(agent.page, { viewer: true }))?.text.includes('heading'));
	for (const text of [...customer.wire.left(set.service.baseUrl), ...agent.wire.received]) {
		assert.ok(!/Nobody sees this|kibo/.test(text), text);
	}
	// The page before is what was looked for in the same log.
	assert.ok(customer.wire.sent.some((frame) => frame.includes('Everything for the small garden')));

	await customer.page.getByRole('link', { name: 'Home' }).click();
	await reaches(customer, 'live');
	await same(customer.page, agent.page);
	assert.ok(await marked(agent.page), 'the agent has not joined again');
});

test('a page that is never shown, whose address goes before it does', async () => {
	const { customer, agent } = await pair(set, '/');
	await same(customer.page, agent.page);
	await customer.page.evaluate(() => {
		history.pushState({}, '', '/%70ayment/card');
		document.title = 'vadomeri 1147';
		document.body.insertAdjacentHTML('beforeend', '<p id="private" title="vadomeri 1147">vadomeri 1147</p>');
	});
	await reaches(customer, 'paused');
	await customer.page.evaluate(() => {
		history.pushState({}, '', '/');
		document.body.insertAdjacentHTML('beforeend', '<p id="public">Thank you, come again</p>');
	});
	await reaches(customer, 'live');
	await until(() => see(agent.page, { viewer: true }), (seen) => !!seen?.text.includes('Thank'), 'the next page');
	for (const text of [...customer.wire.left(set.service.baseUrl), ...agent.wire.received]) assert.ok(!/vadomeri/.test(text), text);
});

test('the customer pauses, and goes on', async () => {
	const { customer, agent } = await pair(set, '/second.html');
	await same(customer.page, agent.page);
	await customer.page.evaluate(() => /** @type {any} */ (window).Cobridge.pause());
	await reaches(customer, 'paused');
	await customer.page.evaluate(() => document.querySelector('main')?.append('while nobody looked'));
	await until(() => agent.page.locator('body').innerText(), (text) => /paus/i.test(text), 'word of the pause');
	await customer.page.waitForTimeout(500);
	assert.ok(!agent.wire.received.some((frame) => frame.includes('while nobody looked')));
	await customer.page.evaluate(() => /** @type {any} */ (window).Cobridge.resume());
	await reaches(customer, 'live');
	assert.ok((await same(customer.page, agent.page)).text.join(' ').includes('while nobody looked'));
});

test('two tabs: one shares, the other can take over', async () => {
	const { customer, agent } = await pair(set, '/');
	await same(customer.page, agent.page);
	// window.open copies what the tab keeps for the session.
	const opening = customer.context.waitForEvent('page');
	await customer.page.evaluate(() => void window.open('/second.html'));
	const second = await opening;
	await second.waitForLoadState();
	await second.waitForTimeout(1500); // time to do it wrong
	assert.equal(await customer.page.evaluate(() => /** @type {any} */ (window).Cobridge.state), 'live', 'the first tab shares');
	assert.notEqual(await second.evaluate(() => /** @type {any} */ (window).Cobridge.state), 'live', 'the second does not');
	await same(customer.page, agent.page);

	await second.bringToFront();
	await new Widget(second).press('here');
	await until(() => second.evaluate(() => /** @type {any} */ (window).Cobridge.state), (now) => now === 'live', 'the second tab sharing');
	assert.ok((await same(second, agent.page)).text.includes('19.50'));
	await second.locator('#pieces').fill('3');
	await same(second, agent.page);
	assert.notEqual(await customer.page.evaluate(() => /** @type {any} */ (window).Cobridge.state), 'live', 'the first tab has stopped');
});

test('the customer is offline for half a minute', async () => {
	const { customer, agent, session } = await pair(set, '/');
	await same(customer.page, agent.page);
	await mark(agent.page);
	const repair = set.service.link.cut(({ side }) => side === 'sharer');
	const since = Date.now();
	await reaches(customer, 'reconnecting');
	await until(() => agent.page.locator('body').innerText(), (text) => /connection|reconnect|back/i.test(text), 'word of the lost connection');
	// Life goes on in the page.
	await customer.page.locator('#town').fill('Lindau');
	for (let i = 0; i < 40; i++) {
		await customer.page.locator('#more').click();
	}
	await picture('offline', customer.page, agent.page);
	await new Promise((resolve) => setTimeout(resolve, 30_000 - (Date.now() - since)));
	repair();
	await reaches(customer, 'live', 2 * patience);
	const look = await same(customer.page, agent.page);
	assert.ok(look.text.join(' ').includes('Offer 40'));
	assert.ok(await marked(agent.page), 'the agent has not joined again');
	assert.equal((await set.service.api.call('GET', `/api/v2/cobrowse/sessions/${session}`)).state, 'active');
	await customer.page.locator('#more').click();
	await same(customer.page, agent.page);
});
