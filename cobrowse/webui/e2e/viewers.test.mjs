// Several viewers of one page: one who comes late, one whose network stands still.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { mark, same, unbroken } from './mirror.mjs';
import { picture, until } from './people.mjs';
import { pair, share, stage, watch } from './stage.mjs';

const set = stage();

test('a supervisor comes late', async () => {
	const { customer, agent, session } = await pair(set, '/rows.html');
	await same(customer.page, agent.page);
	await customer.page.evaluate(() => /** @type {any} */ (window).fill(120, 5, 5));
	await same(customer.page, agent.page);
	await mark(agent.page);

	const supervisor = await watch(set, 'Sam Supervisor', await set.service.api.supervisor(session));
	const look = await same(customer.page, supervisor.page);
	assert.ok(look.text.join(' ').includes('renamed 119'), 'the changes are there');
	assert.ok(await unbroken(agent.page), 'the agent is not disturbed');
	assert.deepEqual(customer.wire.frames('received', 'need').filter((frame) => frame.why !== 'size'), [], 'the customer is not asked because of one who joins');

	// And both see what follows.
	await customer.page.evaluate(() => /** @type {any} */ (window).fill(10, 5, 0));
	await same(customer.page, agent.page);
	await same(customer.page, supervisor.page);
	await picture('late', customer.page, agent.page, supervisor.page);
});

test('a viewer whose network stands still', { timeout: 90_000 }, async () => {
	const { customer, session, agentUrl } = await share(set, '/rows.html');
	const fast = await watch(set, 'Ada Agent', agentUrl);
	await same(customer.page, fast.page);
	const slow = await watch(set, 'Sam Supervisor', await set.service.api.supervisor(session));
	await same(customer.page, slow.page);
	const supervisorID = (await set.service.api.call('GET', `/api/v2/cobrowse/sessions/${session}`)).participants.find((/** @type {any} */ p) => p.role === 'supervisor').id;
	await mark(fast.page);
	await mark(slow.page);

	const move = set.service.link.stall(({ side, target }) => side === 'viewer' && target.includes(supervisorID));
	// More than the kernel's buffers and the viewer's queue hold.
	await customer.page.evaluate(async () => {
		await /** @type {any} */ (window).fill(20, 3, 0);
		await /** @type {any} */ (window).churn(600, 1700, 25);
	});
	await same(customer.page, fast.page);
	move();
	await same(customer.page, slow.page, { limit: 45_000 });
	assert.ok(await unbroken(fast.page), 'the fast viewer is not disturbed');
	assert.ok(!(await unbroken(slow.page)), 'the slow one has built its picture anew');
	assert.ok(slow.wire.frames('received', 'ev').length < fast.wire.frames('received', 'ev').length, 'frames were left out for the slow one');

	// It is in step again.
	await customer.page.evaluate(() => /** @type {any} */ (window).fill(5, 3, 0));
	await same(customer.page, slow.page);
	await same(customer.page, fast.page);
});

test('a viewer in a tab that is not looked at', async () => {
	const { customer, agent } = await pair(set, '/rows.html');
	await same(customer.page, agent.page);
	await hide(agent.page, true);
	await until(() => agent.wire.frames('sent', 'vis').length, (n) => n > 0, 'word that the tab is hidden');
	// Its word and the customer's changes come by different ways: changes are made one
	// by one until the server knows, and sends none of them.
	const acked = () => customer.wire.frames('received', 'ack').at(-1)?.s ?? 0;
	const got = () => agent.wire.frames('received', 'ev').length;
	let quiet = 0; // changes in a row of which it got nothing
	await until(async () => {
		const [was, had] = [acked(), got()];
		await customer.page.evaluate(() => /** @type {any} */ (window).fill(1, 1, 0));
		await until(acked, (s) => s > was, 'one change at the server');
		quiet = got() === had ? quiet + 1 : 0;
		return quiet;
	}, (n) => n === 3, 'a viewer to whom nothing is sent');
	const [before, first] = [got(), acked()];
	await customer.page.evaluate(() => /** @type {any} */ (window).fill(60, 5, 5));
	await until(acked, (s) => s >= first + 50, 'the changes at the server');
	assert.ok(agent.wire.frames('received', 'ev').length <= before + 5, 'hardly anything is sent to a hidden viewer');
	await hide(agent.page, false);
	assert.ok((await same(customer.page, agent.page)).text.join(' ').includes('renamed 59'));
});

/** Headless pages are always visible: the page is told otherwise. @param {import('playwright-core').Page} page @param {boolean} hidden */
async function hide(page, hidden) {
	await page.evaluate((now) => {
		Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => (now ? 'hidden' : 'visible') });
		Object.defineProperty(document, 'hidden', { configurable: true, get: () => now });
		document.dispatchEvent(new Event('visibilitychange'));
	}, hidden);
}
