// What a viewer may do in the customer's page: ask, act, be refused, draw,
// navigate; and how the customer takes it back.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { same } from './mirror.mjs';
import { picture, until } from './people.mjs';
import { pair, stage, watch } from './stage.mjs';
import { ask, click, granted, point, type } from './viewer.mjs';

const set = stage();

/**
 * Waits for the answer to what is done next.
 * @param {import('./people.mjs').Person} agent
 * @param {() => Promise<void>} act
 * @returns {Promise<string | undefined>} why it was refused
 */
async function answer(agent, act) {
	const before = agent.wire.frames('sent', 'ctl').length;
	await act();
	const sent = await until(() => agent.wire.frames('sent', 'ctl').slice(before), (frames) => frames.length > 0, 'action on the wire');
	const { n } = sent.at(-1);
	return (await until(() => agent.wire.frames('received', 'done').find((frame) => frame.n === n), Boolean, `answer to action ${n}`)).why;
}

test('clicks, texts, choices, and what is refused', async () => {
	const { customer, agent, session } = await pair(set, '/');
	await same(customer.page, agent.page);

	// Declined: the agent is told, and nothing can be done.
	await agent.page.locator('#ask-navigate').click();
	await customer.widget.press('deny');
	await agent.page.locator('li[data-kind=navigate][data-state=refused]').waitFor();
	await click(agent.page, '#more');
	assert.deepEqual(agent.wire.frames('sent', 'ctl'), []);

	await ask(agent, 'control', customer);
	await click(agent.page, '#more');
	await until(() => customer.page.locator('#list li').count(), (n) => n === 1, 'the click');
	await type(agent, customer.page.locator('#town'), 'Lindau', ['#town']);
	await agent.page.keyboard.press('Backspace');
	await until(() => customer.page.locator('#town').inputValue(), (value) => value === 'Linda', 'Backspace');
	// A field that is merely hidden can be filled in unseen.
	await type(agent, customer.page.locator('#name'), 'Kim', ['#name']);
	await click(agent.page, '#news');
	await until(() => customer.page.locator('#news').isChecked(), Boolean, 'the checkbox');
	await click(agent.page, '#delivery');
	await agent.page.locator('#chooser select').selectOption({ label: 'Collect' });
	await agent.page.locator('#chooser button.primary').click();
	await until(() => customer.page.locator('#delivery').inputValue(), (value) => value === 'Collect', 'the choice');
	await click(agent.page, '#from');
	await agent.page.locator('#chooser input').fill('2027-03-04');
	await agent.page.locator('#chooser button.primary').click();
	await until(() => customer.page.locator('#from').inputValue(), (value) => value === '2027-03-04', 'the date');
	await same(customer.page, agent.page);
	await picture('control', customer.page, agent.page);

	// What is refused, and why. The page stays as it is.
	for (const [selector, why] of [['#password', 'masked'], ['#number', 'readonly'], ['#order', 'submit'], ['#away', 'offsite'], ['#script', 'unsafe']]) {
		assert.equal(await answer(agent, () => click(agent.page, selector)), why, selector);
		await until(() => agent.page.locator('#refusal').innerText(), (text) => text.length > 5, `words for ${why}`);
	}
	await picture('refused', customer.page, agent.page);
	// A link whose handler submits the form: the click is made, the form stays.
	await answer(agent, () => click(agent.page, '#sly'));
	await customer.page.waitForTimeout(300);
	assert.equal(new URL(customer.page.url()).pathname, '/');
	assert.equal(await customer.page.title(), 'Garden tools');
	assert.equal(await customer.page.locator('#address').getAttribute('data-sent'), null);
	assert.equal(await customer.page.locator('#number').inputValue(), 'C-4711');

	// The customer wins where both type.
	await customer.page.locator('#town').click();
	await customer.page.keyboard.type('u');
	await answer(agent, () => click(agent.page, '#town'));
	await customer.page.keyboard.type('x');
	await customer.page.keyboard.press('Backspace');
	assert.equal(await answer(agent, () => agent.page.keyboard.type('x')), 'busy');
	assert.equal(await customer.page.locator('#town').inputValue(), 'Lindau');

	// One click takes control back.
	await customer.widget.press('back');
	await agent.page.locator('li[data-kind=control]:not([data-state=granted])').waitFor();
	const before = agent.wire.frames('sent', 'ctl').length;
	await click(agent.page, '#more');
	assert.equal(agent.wire.frames('sent', 'ctl').length, before);
	await set.service.api.end(session);
	const record = await until(() => set.service.api.record(session), (r) => r.actions.length > 0, 'the record');
	for (const text of ['Lindau', 'Linda', 'Collect', '2027-03-04']) {
		assert.ok(!JSON.stringify(record.actions).includes(text), `${text} is in the record`);
	}
	const results = record.actions.map((/** @type {any} */ action) => action.result);
	for (const result of ['ok', 'masked', 'readonly', 'submit', 'offsite', 'unsafe', 'busy']) {
		assert.ok(results.includes(result), `${result} is not in the record: ${results}`);
	}
});

test('drawing', async () => {
	const { customer, agent } = await pair(set, '/second.html');
	await same(customer.page, agent.page);
	await ask(agent, 'draw', customer);
	await agent.page.locator('#pen').click();
	const at = await point(agent.page, 'table');
	assert.ok(at);
	const frames = customer.wire.frames('sent', 'ev').length;
	await agent.page.mouse.move(at.x - 60, at.y - 20);
	await agent.page.mouse.down();
	for (let i = 0; i <= 20; i++) {
		await agent.page.mouse.move(at.x - 60 + i * 6, at.y - 20 + 20 * Math.sin(i));
	}
	await agent.page.mouse.up();
	await until(() => customer.widget.drawn('POLYLINE'), (n) => n > 0, 'the line on the customer’s page');
	await picture('drawing', customer.page, agent.page);
	const changes = customer.wire.frames('sent', 'ev').slice(frames).filter((frame) => frame.b.some((/** @type {any} */ event) => event.data.source === 0));
	assert.deepEqual(changes, [], 'the line is no change of the page');
	await until(() => customer.widget.drawn('POLYLINE'), (n) => n === 0, 'the end of the line', 12_000);
	await customer.widget.press('withdraw');
	await agent.page.locator('li[data-kind=draw]:not([data-state=granted])').waitFor();
});

test('navigation', async () => {
	const { customer, agent } = await pair(set, '/');
	await same(customer.page, agent.page);
	await ask(agent, 'navigate', customer);
	await agent.page.locator('#address').fill('/second.html');
	await agent.page.locator('#address').press('Enter');
	await customer.page.waitForURL('**/second.html');
	await same(customer.page, agent.page);
	await granted(agent, 'navigate');
	await agent.page.locator('#back').click();
	await until(() => new URL(customer.page.url()).pathname, (path) => path === '/', 'the page before');
	await same(customer.page, agent.page);
	await agent.page.locator('#address').fill('http://elsewhere.localhost/');
	await agent.page.locator('#address').press('Enter');
	await customer.page.waitForTimeout(1000);
	assert.equal(new URL(customer.page.url()).origin, set.site.origin);
});

test('a supervisor looks on, and cannot act whatever it sends', async () => {
	const { customer, agent, session } = await pair(set, '/');
	const supervisor = await watch(set, 'Sam Supervisor', await set.service.api.supervisor(session));
	await same(customer.page, supervisor.page);
	assert.equal(await supervisor.page.locator('#ask-control').isVisible(), false);
	await ask(agent, 'control', customer);
	// The agent's actions are seen by both; where the agent points, too.
	await type(agent, customer.page.locator('#town'), 'Bern', ['#town']);
	await same(customer.page, supervisor.page);
	// With the wire in hand: a page of the supervisor sends what only the agent may.
	const forged = await supervisor.context.newPage();
	await forged.addInitScript(() => {
		const Real = window.WebSocket;
		window.WebSocket = class extends Real {
			constructor(/** @type {any} */ url, /** @type {any} */ protocols) {
				super(url, protocols);
				/** @type {any} */ (window).socket = this;
			}
		};
	});
	await forged.goto(supervisor.page.url());
	await forged.locator('body[data-screen=live]').waitFor();
	const { id } = agent.wire.frames('sent', 'ctl').findLast((frame) => frame.k === 'text');
	const before = customer.wire.frames('received', 'ctl').length;
	await forged.evaluate((node) => {
		const { socket } = /** @type {any} */ (window);
		socket.send(JSON.stringify({ t: 'ctl', n: 1, e: 1, k: 'set', id: node, v: 'forged' }));
		socket.send(JSON.stringify({ t: 'consent', kind: 'control', ok: true, to: 'me' }));
		socket.send(JSON.stringify({ t: 'ctl', n: 2, e: 1, k: 'set', id: node, v: 'forged' }));
	}, id);
	await customer.page.waitForTimeout(1000);
	assert.equal(customer.wire.frames('received', 'ctl').length, before);
	assert.equal(await customer.page.locator('#town').inputValue(), 'Bern');
});
