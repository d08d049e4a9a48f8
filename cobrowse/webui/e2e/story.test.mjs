// The stories that the demonstration tells, as people live them: a customer who is
// helped in the shop, and an agent who is helped at the desk.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { same } from './mirror.mjs';
import { launch, person, picture, until } from './people.mjs';
import { startDemo } from './service.mjs';
import { reaches, state } from './stage.mjs';
import { ask, click, granted, screen, type } from './viewer.mjs';

/** @type {Awaited<ReturnType<typeof startDemo>>} */
let demo;
/** @type {import('playwright-core').Browser} */
let browser;

before(async () => {
	demo = await startDemo();
	browser = await launch();
});
after(async () => {
	await browser?.close();
	await demo?.stop();
});

// A failed story must not keep the agent busy in the next.
afterEach(async () => {
	for (const session of (await demo.api.call('GET', '/api/v2/cobrowse/sessions')).entities) {
		await demo.api.end(session.id);
	}
});

const bodyText = (/** @type {import('./people.mjs').Person} */ who) => who.page.locator('body').innerText();

/** Marks a page; one that was loaded anew has no mark. @param {import('./people.mjs').Person} who */
const mark = (who) => who.page.evaluate(() => {
	/** @type {any} */ (window).marked = true;
});

/** @param {import('./people.mjs').Person} who */
const marked = (who) => who.page.evaluate(() => /** @type {any} */ (window).marked === true);

test('a customer is helped in the shop', async () => {
	const { info, api } = demo;
	const kim = await person(browser, 'Kim Customer');
	await kim.page.goto(info.customerUrl);
	assert.equal(new URL(kim.page.url()).pathname, '/shop/');
	await until(() => kim.page.url(), (url) => !url.includes('#'), 'an address without the token');
	await reaches(kim, 'asking');
	assert.deepEqual(kim.wire.sent, [], 'nothing leaves the page before the customer agrees');
	await picture('story-consent', kim.page);
	await kim.widget.press('agree');
	await until(() => state(kim), (now) => now === 'waiting' || now === 'live', 'sharing');

	const ada = await person(browser, 'Ada Agent');
	await ada.page.goto(info.joinUrls.agent);
	await screen(ada, 'live');
	await same(kim.page, ada.page);
	const sam = await person(browser, 'Sam Supervisor');
	await sam.page.goto(info.joinUrls.supervisor);
	await screen(sam, 'live');
	await same(kim.page, sam.page);
	await mark(ada);
	await mark(sam);
	await until(() => kim.widget.text(), (text) => text.includes('Ada Agent') && text.includes('Sam Supervisor'), 'the names of those who look');
	for (const who of [ada, sam]) {
		assert.ok(!who.page.url().includes('token'), 'the token stays in the address');
		assert.match(await bodyText(who), /Kim Customer[^]*/);
	}

	// Kim goes to the checkout; nobody joins again.
	await kim.page.getByRole('button', { name: /Add|basket/ }).first().click();
	await kim.page.goto(`${new URL(kim.page.url()).origin}/shop/checkout`);
	await same(kim.page, ada.page);
	await same(kim.page, sam.page);

	// Ada may not do anything yet.
	await click(ada.page, '[name=city]');
	await ada.page.keyboard.type('nothing', { delay: 20 });
	await ask(ada, 'control', kim);
	assert.equal(await kim.page.locator('[name=city]').inputValue(), '', 'control before it was allowed');
	assert.match(await kim.widget.text(), /Ada Agent/);
	await picture('story-control', kim.page, ada.page, sam.page);

	await type(ada, kim.page.locator('[name=city]'), 'Lindau', ['[name=city]']);
	// Kim types what nobody sees, and Ada cannot touch it.
	await kim.page.locator('[name=email]').fill('kim.private@example.invalid');
	await kim.page.locator('[name=card]').pressSequentially('4000 1234 5678 9010');
	await click(ada.page, '[name=card]');
	await ada.page.keyboard.type('99', { delay: 20 });
	await same(kim.page, ada.page);
	await same(kim.page, sam.page);
	assert.equal(await kim.page.locator('[name=card]').inputValue(), '4000 1234 5678 9010');
	// Whoever only looks cannot do anything.
	await click(sam.page, '[name=card]');
	await sam.page.keyboard.type('nothing', { delay: 20 });
	assert.deepEqual(sam.wire.frames('sent', 'ctl'), []);

	// Reload: what the agent may do goes on.
	await kim.page.reload();
	await reaches(kim, 'live');
	await same(kim.page, ada.page);
	await granted(ada, 'control');
	await type(ada, kim.page.locator('[name=street]'), 'Garden Street 5', ['[name=street]']);

	// Escape takes it back.
	await kim.page.keyboard.press('Escape');
	await ada.page.locator('li[data-kind=control]:not([data-state=granted])').waitFor();
	await click(ada.page, '[name=postcode]');
	await ada.page.keyboard.type('nothing', { delay: 20 });

	await kim.page.goto(`${new URL(kim.page.url()).origin}/shop/account`);
	await same(kim.page, ada.page);
	await same(kim.page, sam.page);
	assert.ok(await marked(ada) && await marked(sam), 'nobody has joined again');
	const [session] = (await api.call('GET', '/api/v2/cobrowse/sessions')).entities;
	assert.equal(session.state, 'active');

	await kim.widget.press('stop');
	await screen(ada, 'ended');
	await screen(sam, 'ended');
	assert.equal(await state(kim), 'ended');
	assert.match(await kim.widget.text(), /ended|over|stopped/i);
	await picture('story-ended', kim.page, ada.page, sam.page);

	const record = await api.record(session.id);
	assert.equal(record.endReason, 'participantLeft');
	assert.deepEqual(record.pages.map((/** @type {any} */ p) => new URL(p.url).pathname).filter((/** @type {string} */ p, /** @type {number} */ i, /** @type {string[]} */ all) => p !== all[i - 1]), ['/shop/', '/shop/checkout', '/shop/account']);
	for (const page of record.pages) {
		assert.ok(Number.isInteger(page.durationSeconds) && page.dateEntered && page.title, JSON.stringify(page));
	}
	assert.deepEqual(record.participants.map((/** @type {any} */ p) => [p.name, p.role, Boolean(p.dateJoined && p.dateLeft)]), [['Kim Customer', 'customer', true], ['Ada Agent', 'agent', true], ['Sam Supervisor', 'supervisor', true]]);
	const control = record.grants.filter((/** @type {any} */ g) => g.kind === 'control');
	assert.equal(control.length, 1, JSON.stringify(record.grants));
	assert.ok(control[0].dateGiven && control[0].dateRevoked, JSON.stringify(control));
	assert.ok(record.grants.some((/** @type {any} */ g) => g.kind === 'sharing'), 'the agreement to sharing is in the record');
	assert.ok(record.actions.length > 0 && record.actions.every((/** @type {any} */ a) => a.path !== undefined), JSON.stringify(record.actions));
	for (const text of ['Lindau', 'Garden Street 5', 'kim.private']) {
		assert.ok(!JSON.stringify(record).includes(text), `${text} is in the record`);
	}

	// The history page shows the same to people.
	const link = await api.call('POST', `/api/v2/cobrowse/history/${session.id}/links`);
	const reader = await person(browser, 'Sam Supervisor');
	await reader.page.goto(link.url);
	await until(() => bodyText(reader), (text) => ['Kim Customer', 'Ada Agent', 'Sam Supervisor', '/shop/checkout', '/shop/account'].every((part) => text.includes(part)), 'the history page');
	assert.ok(!(await bodyText(reader)).includes('Lindau'));
	await picture('story-history', reader.page);

	// What was private is on no wire.
	const wire = [...kim.wire.left(info.baseUrl), ...ada.wire.received, ...sam.wire.received].join('\n');
	assert.ok(wire.includes('Lindau') && wire.includes('Six good things'), 'what may be seen is found');
	for (const text of ['kim.private', '4000 1234', '40001234', 'hidden-form-token', 'K-204-771', 'DE00 1234']) {
		assert.ok(!wire.includes(text), `${text} is on the wire`);
	}
	assert.deepEqual([...kim.problems, ...ada.problems, ...sam.problems, ...reader.problems], []);
});

test('an agent is helped at the desk', async () => {
	const { info, api } = demo;
	const made = await api.call('POST', '/api/v2/cobrowse/sessions', {
		conversationId: info.conversationId,
		participants: [{ userId: info.agentUserId, role: 'agent' }, { userId: info.supervisorUserId, role: 'supervisor' }],
	});
	const joinUrl = (/** @type {string} */ role) => made.participants.find((/** @type {any} */ p) => p.role === role).joinUrl;
	const ada = await person(browser, 'Ada Agent');
	await ada.page.goto(joinUrl('agent'));
	assert.equal(new URL(ada.page.url()).pathname, '/demo/desktop');
	await ada.widget.press('agree');
	const sam = await person(browser, 'Sam Supervisor');
	await sam.page.goto(joinUrl('supervisor'));
	await screen(sam, 'live');
	await same(ada.page, sam.page);
	await ada.page.getByRole('button', { name: /Chris Customer/ }).click();
	await ada.page.getByRole('tab', { name: 'Notes' }).click();
	await ada.page.locator('[name=text]').fill('Has moved to another street.');
	const look = await same(ada.page, sam.page);
	assert.ok(look.text.includes('Notes'));
	await picture('desktop', ada.page, sam.page);
	assert.ok(!sam.wire.received.some((frame) => frame.includes('chris@customer') || frame.includes('DE00 2345')), 'a hidden value is on the wire');
	await ada.page.reload();
	await same(ada.page, sam.page);
	await api.end(made.id);
	await screen(sam, 'ended');
	await until(() => state(ada), (now) => now === 'ended', 'the end at the desk');
});

test('a customer starts with the button and reads out nine digits', async () => {
	const kim = await person(browser, 'Kim Customer', { locale: 'de-DE', viewport: { width: 390, height: 844 } });
	await kim.page.goto(`${new URL(demo.info.customerUrl).origin.replace('127.0.0.1', 'shop.localhost')}/shop/`);
	await kim.widget.press('start');
	await kim.widget.press('agree');
	const digits = await until(async () => /\b(\d{3}) (\d{3}) (\d{3})\b/.exec(await kim.widget.text()), (found) => found !== null, 'the number');
	await picture('story-number', kim.page);
	const ada = await person(browser, 'Ada Agent');
	await ada.page.goto(demo.info.joinUrls.agent); // the demo types the digits in
	await same(kim.page, ada.page);
	const [session] = (await demo.api.call('GET', '/api/v2/cobrowse/sessions')).entities;
	assert.equal(session.participants[0].role, 'customer');
	assert.equal(digits?.[0].replaceAll(' ', '').length, 9);
	await kim.widget.press('stop');
	await screen(ada, 'ended');
});
