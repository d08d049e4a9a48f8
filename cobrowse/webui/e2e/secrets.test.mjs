// Secrets planted in a page in every place that we could think of: none leaves the
// customer's browser, whatever happens to the page, and none reaches a viewer.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { see } from './mirror.mjs';
import { person, picture, until } from './people.mjs';
import { tag } from './site.mjs';
import { agree, share, stage, watch } from './stage.mjs';
import { leaks } from './wire.mjs';

/** @type {{id: string, where: string, secret: string}[]} */
const secrets = JSON.parse(readFileSync(new URL('pages/secrets.json', import.meta.url), 'utf8'));
const page = readFileSync(new URL('pages/secrets.html', import.meta.url), 'utf8');

const set = stage();

/** Runs the steps of the page, each in a task of its own. @param {import('./people.mjs').Person} customer */
async function steps(customer) {
	return customer.page.evaluate(async () => {
		/** @type {string[]} */
		const done = [];
		for (const { id, run } of /** @type {any} */ (window).secretSteps) {
			await run();
			await new Promise((resolve) => setTimeout(resolve, 30));
			done.push(id);
		}
		return done;
	});
}

/** Waits until the server has all that the customer's browser has sent so far. @param {import('./people.mjs').Person} customer */
async function settled(customer) {
	await customer.page.waitForTimeout(1000); // what is collected is on its way
	await until(() => {
		const [last, ack] = [customer.wire.frames('sent', 'ev').at(-1), customer.wire.frames('received', 'ack').at(-1)];
		return last && ack && ack.e === last.e && ack.s >= last.s;
	}, Boolean, 'word that all has arrived');
}

/** @param {string[]} texts */
const found = (texts) => secrets.flatMap(({ id, where, secret }) => leaks(texts, [secret]).map((find) => `${id}, ${where}: ${find}`));

test('the search finds what is there', () => {
	// Beginnings count: a value that is sent as it grows is a leak from its sixth letter on.
	for (const text of ['{"text":"seruvi"}', '{"a":"x seruviki97508 y"}', 'GET http://service/?q=%2B49%20849522573']) {
		assert.equal(found([text]).length, 1, text);
	}
	assert.deepEqual(found(['{"text":"seruv"}', 'nothing']), []);
	assert.ok(secrets.length >= 33);
	for (const { id, secret } of secrets) {
		assert.ok(page.includes(secret) || page.includes(secret.replace(' ', '')), `${id} is not in the page`);
	}
});

test('no secret leaves the page', { timeout: 120_000 }, async () => {
	const { customer, session, agentUrl } = await share(set, '/secrets.html');
	const agent = await watch(set, 'Ada Agent', agentUrl);
	await until(() => see(agent.page, { viewer: true }), (look) => look?.text.includes('visible') ?? false, 'the picture');
	const count = await customer.page.evaluate(() => /** @type {any} */ (window).secretSteps.length);
	assert.equal((await steps(customer)).length, count);
	await settled(customer);
	await picture('secrets', customer.page, agent.page);

	// Everything again in one piece: for a viewer who comes late, after a pause, and after a reload.
	const supervisor = await watch(set, 'Sam Supervisor', await set.service.api.supervisor(session));
	await until(() => see(supervisor.page, { viewer: true }), (look) => look?.text.includes('visible') ?? false, 'the picture of the supervisor');
	for (const act of ['pause', 'resume']) {
		await customer.page.evaluate((name) => /** @type {any} */ (window).Cobridge[name](), act);
		await customer.page.waitForTimeout(300);
	}
	await settled(customer);
	const before = customer.wire.frames('sent', 'ev').at(-1).e;
	await customer.page.reload();
	await until(() => customer.wire.frames('sent', 'ev').at(-1).e, (epoch) => epoch > before, 'the page after the reload');
	await steps(customer);
	await settled(customer);
	const fulls = customer.wire.frames('sent', 'ev').filter((frame) => frame.k === 'full');
	assert.ok(fulls.length >= 3, `${fulls.length} full pictures`);

	const left = customer.wire.left(set.service.baseUrl);
	const seen = [...agent.wire.received, ...supervisor.wire.received];
	for (const text of await customer.page.evaluate(() => /** @type {any} */ (window).secretVisible)) {
		assert.ok(left.some((frame) => frame.includes(text)), `“${text}” may be seen and is not on the wire: the search looks in the wrong place`);
		assert.ok(seen.some((frame) => frame.includes(text)), `“${text}” may be seen and did not reach the viewers`);
	}
	assert.deepEqual(found([...left, ...customer.wire.received]), []);
	assert.deepEqual(found([...seen, ...agent.wire.sent, ...agent.wire.requests, ...supervisor.wire.sent, ...supervisor.wire.requests]), []);
	assert.deepEqual(found(set.service.log), [], 'in the log');
	await set.service.api.end(session);
	const record = await until(() => set.service.api.record(session), (r) => r.pages.length > 0, 'the record');
	assert.deepEqual(found([JSON.stringify(record)]), [], 'in the record');
});

test('with private text no text leaves the page', async () => {
	const script = tag(set.service.baseUrl, set.service.deploymentIds.site, 'data-text="private"');
	set.site.mount('/private', () => ({ headers: { 'content-type': 'text/html; charset=utf-8' }, body: page.replace('</head>', `${script}</head>`) }));
	const customer = await person(set.browser, 'Kim Customer');
	await customer.page.goto(`${set.site.origin}/private`);
	const { sessionToken } = await agree(customer);
	const { agent: agentUrl } = await set.service.api.attach(sessionToken);
	const agent = await watch(set, 'Ada Agent', agentUrl);
	await until(() => see(agent.page, { viewer: true }), (look) => (look?.elements.p ?? 0) > 3, 'the picture');
	await steps(customer);
	await settled(customer);
	await picture('secrets-private', customer.page, agent.page);
	const left = customer.wire.left(set.service.baseUrl);
	assert.deepEqual(found(left), []);
	for (const text of ['This sentence', 'Account of', 'visible row', 'Quoted', 'Your name']) {
		assert.ok(!left.some((frame) => frame.includes(text)), `“${text}” is on the wire`);
	}
});
