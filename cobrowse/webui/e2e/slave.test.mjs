// The agent's page of the old product: nine digits, typed or brought by a desk, on
// its own or in a frame of a desk that is another site.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { same } from './mirror.mjs';
import { launch, person, picture, until } from './people.mjs';
import { startService } from './service.mjs';
import { Site, tag } from './site.mjs';
import { agree, state } from './stage.mjs';
import { ask, click, screen, type } from './viewer.mjs';

/** @type {import('./stage.mjs').Stage & {desk: Site, stranger: Site, slave: string}} */
const set = /** @type {any} */ ({});

before(async () => {
	set.site = await new Site().listen();
	set.desk = await new Site().listen('desk.localhost');
	set.stranger = await new Site().listen('stranger.localhost');
	let slave = '';
	set.service = await startService({
		origins: [set.site.origin],
		deployments: { site: {}, other: { assetOrigins: [set.desk.origin] } },
		settings: ({ port, deploymentIds }) => {
			slave = `http://viewer.localhost:${port}/cobrowse/slave.html`;
			return {
				viewerBaseUrl: `http://viewer.localhost:${port}`,
				session: { oneSessionPerAgent: true },
				legacy: { enabled: true, deployment: deploymentIds.site, allowedOrigins: [set.site.origin], deskOrigins: [set.desk.origin], access: { agent: 'origin' } },
			};
		},
	});
	set.slave = slave;
	set.site.embed(set.service.baseUrl, set.service.deploymentIds.site);
	set.site.directory('/', 'pages').react('/react.js');
	set.browser = await launch();
});
after(async () => {
	await set.browser?.close();
	await set.service?.stop();
	for (const site of [set.site, set.desk, set.stranger]) {
		site?.close();
	}
});

// A failed scenario must not keep anybody busy in the next.
afterEach(async () => {
	for (const session of (await set.service.api.call('GET', '/api/v2/cobrowse/sessions')).entities) {
		await set.service.api.end(session.id);
	}
});

/** A customer who shares a page and has nine digits to read out. @param {string} [target] */
async function kim(target = '/rows.html') {
	const customer = await person(set.browser, 'Kim Customer');
	await customer.page.goto(set.site.origin + target);
	const { sessionToken, sessionId } = await agree(customer);
	return { customer, digits: sessionToken, id: sessionId };
}

/** @param {string} [fragment] @param {import('playwright-core').BrowserContextOptions} [options] */
async function ada(fragment = '', options = {}) {
	const agent = await person(set.browser, 'Ada Agent', options);
	await agent.page.goto(set.slave + fragment);
	return agent;
}

/** @param {string} digits */
const grouped = (digits) => digits.replace(/(...)(?=.)/g, '$1 ');

/** @param {import('playwright-core').Page | import('playwright-core').Frame} where @param {string} text */
const says = (where, text) => until(() => where.locator('#wrong').innerText(), (now) => now.includes(text), `“${text}” beside the number`);

/** Ends the session as agents do. @param {import('playwright-core').Page | import('playwright-core').Frame} where */
async function exit(where) {
	await where.locator('#exit').click();
	await where.locator('#confirmYes').click();
}

test('an agent types the digits, sees the page, writes in it, and exits', async () => {
	const { customer, digits } = await kim('/parts.html');
	const agent = await ada();
	assert.equal(await agent.page.title(), 'Ready – Co-browse');
	await picture('slave-form', agent.page);
	const input = agent.page.getByLabel('nine digits');
	await until(() => input.evaluate((e) => e === document.activeElement), Boolean, 'focus in the field');
	await agent.page.keyboard.type(digits);
	assert.equal(await input.inputValue(), grouped(digits));
	await agent.page.keyboard.press('Enter');
	await screen(agent, 'live');
	await same(customer.page, agent.page);
	assert.match(await agent.page.locator('.modes').innerText(), /Pointer mode/);
	await until(() => customer.widget.text(), (text) => /agent/i.test(text), 'word that somebody looks');
	await picture('slave-live', agent.page);

	await agent.page.getByRole('button', { name: 'Write mode' }).click();
	await until(() => agent.page.locator('li[data-kind=control]').getAttribute('data-state'), (now) => now === 'asked', 'the question');
	await picture('slave-asked', agent.page, customer.page);
	await customer.widget.press('allow');
	await agent.page.getByRole('button', { name: 'Pointer mode' }).waitFor();
	assert.equal(await agent.page.locator('.modes').innerText(), 'Write mode');
	await picture('slave-write', agent.page);
	await agent.page.getByRole('button', { name: 'Pointer mode' }).click();
	await agent.page.getByRole('button', { name: 'Write mode' }).waitFor();

	await exit(agent.page);
	await screen(agent, 'ended');
	await until(() => state(customer), (now) => now === 'ended', 'the end for the customer');
	assert.equal(await agent.page.locator('#headline').innerText(), 'The session has ended');
	await picture('slave-ended', agent.page);

	// The next one, in the same window.
	const next = await kim();
	await input.fill(next.digits);
	await agent.page.keyboard.press('Enter');
	await same(next.customer.page, agent.page);
	await agent.page.evaluate(() => history.length);
	assert.ok(!agent.page.url().includes('#'), agent.page.url());
	await exit(agent.page);
	await screen(agent, 'ended');
	await until(() => state(next.customer), (now) => now === 'ended', 'the end for the next customer');
	assert.deepEqual([...agent.problems, ...customer.problems, ...next.customer.problems], []);
});

test('write mode types into the page', async () => {
	const { customer, digits } = await kim('/index.html');
	const agent = await ada(`#sid=${digits}&name=Ada+Agent`);
	await same(customer.page, agent.page);
	await until(() => customer.widget.text(), (text) => text.includes('Ada Agent'), 'the name of the agent');
	await ask(agent, 'control', customer);
	const field = customer.page.locator('input[type=text], input:not([type])').first();
	const name = await field.evaluate((e) => (e.id ? `#${e.id}` : `[name="${e.getAttribute('name')}"]`));
	await click(agent.page, name);
	await type(agent, field, 'Lindau', [name]);
	await exit(agent.page);
	await screen(agent, 'ended');
});

test('wrong digits', async () => {
	const agent = await ada();
	const input = agent.page.getByLabel('nine digits');
	const join = agent.page.getByRole('button', { name: 'Join' });
	await join.click();
	await says(agent.page, 'Enter the nine digits.');
	await input.fill('1234');
	await join.click();
	await says(agent.page, 'Here are only 4.');
	assert.equal(await input.getAttribute('aria-invalid'), 'true');
	await input.fill('12345678x');
	await join.click();
	await says(agent.page, 'Only digits');
	assert.deepEqual(agent.wire.requests.filter((r) => r.includes('/rest/live/')), [], 'nothing is asked about what is no number');

	const { customer, digits } = await kim();
	const other = String((Number(digits) + 1) % 1e9).padStart(9, '0');
	await input.evaluate((e, text) => {
		const data = new DataTransfer();
		data.setData('text/plain', text);
		e.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
	}, `it is ${other.slice(0, 3)}-${other.slice(3, 6)}-${other.slice(6)}, thank you`);
	assert.equal(await input.inputValue(), grouped(other));
	await join.click();
	await says(agent.page, 'No session has this number.');
	assert.equal(await input.inputValue(), grouped(other));
	await until(() => input.evaluate((e) => e === document.activeElement), Boolean, 'focus in the field');
	await picture('slave-wrong', agent.page);

	// One agent only, and it is said to be taken.
	const first = await ada(`#sid=${digits}`);
	await screen(first, 'live');
	await input.fill(digits);
	await join.click();
	await says(agent.page, 'Somebody has joined this session already.');
	// The first one cannot be in two.
	const second = await kim();
	const tab = await first.context.newPage();
	await tab.goto(`${set.slave}#sid=${second.digits}`);
	await says(tab, 'You are still in another session.');
	await exit(first.page);
	await screen(first, 'ended');
	await input.fill(digits);
	await join.click();
	await says(agent.page, 'has ended.');
	await tab.getByRole('button', { name: 'Join' }).click();
	await tab.locator('body[data-screen=live]').waitFor();
	await exit(tab);
	await until(() => state(second.customer), (now) => now === 'ended', 'the end');
	assert.equal(await state(customer), 'ended');
});

test('the service is away, or has had enough', async () => {
	const agent = await ada();
	const input = agent.page.getByLabel('nine digits');
	/** @type {{status: number, headers?: Record<string, string>}} */
	let answer = { status: 503 };
	await agent.context.route('**/rest/live/**', (route) => route.fulfill({ ...answer, contentType: 'application/json', body: '{}' }));
	for (const [status, words] of /** @type {[number, string][]} */ ([[503, 'does not answer'], [502, 'does not answer'], [500, 'on our side'], [401, 'not signed in'], [403, 'may not join'], [400, 'not a number'], [410, 'has ended']])) {
		answer = { status };
		await input.fill('123456789');
		await agent.page.keyboard.press('Enter');
		await says(agent.page, words);
	}
	await agent.context.unroute('**/rest/live/**');
	await agent.context.route('**/rest/live/**', (route) => route.abort());
	await agent.page.keyboard.press('Enter');
	await says(agent.page, 'does not answer');
	await agent.context.unroute('**/rest/live/**');
	await agent.context.route('**/rest/live/**', (route) => route.fulfill({ status: 429, headers: { 'retry-after': '2', 'content-type': 'application/json' }, body: '{}' }));
	await agent.page.keyboard.press('Enter');
	await says(agent.page, 'Try again in 2 seconds.');
	const join = agent.page.getByRole('button', { name: 'Join' });
	assert.ok(await join.isDisabled());
	await until(() => join.isDisabled(), (off) => !off, 'another chance');
	assert.equal(await agent.page.locator('#wrong').innerText(), '');
});

test('the digits come in the fragment', async () => {
	const { customer, digits, id } = await kim();
	const agent = await ada(`#nosidinput=1&sid=${digits}&name=Ada%20Agent&nonotifications=1&lang=de&token=desk-token-1`);
	await same(customer.page, agent.page);
	assert.equal(agent.page.url(), `${set.slave}?lang=de`);
	assert.equal(await agent.page.locator('.modes').innerText(), 'Zeigermodus');
	assert.ok(!agent.wire.requests.some((r) => r.split(' ')[1].includes(digits) && !r.startsWith('POST ')), 'the digits are in an address that servers log');
	assert.equal(await agent.page.locator('#form').isVisible(), false);
	const joins = agent.wire.requests.filter((r) => r.startsWith('POST ') && r.includes('/rest/live/'));
	assert.ok(joins.length > 0 && joins.every((r) => r.includes('"authorization":"Bearer desk-token-1"')), joins.join('\n'));
	assert.ok(!agent.wire.requests.some((r) => r.split(' ')[1].includes('desk-token')), 'the access token is in an address');
	const kept = await agent.page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }, history.state, document.documentElement.outerHTML]));
	assert.ok(kept.includes(digits) && !kept.includes('desk-token'), 'the access token is kept');
	await picture('slave-german', agent.page);

	// A reload keeps the place.
	await agent.page.reload();
	await same(customer.page, agent.page);
	assert.equal((await set.service.api.call('GET', `/api/v2/cobrowse/sessions/${id}`)).participants.length, 2, 'nobody has joined again');
	// Nothing is said by the way.
	await agent.page.getByRole('button', { name: 'Schreibmodus' }).click();
	await customer.widget.press('allow');
	await agent.page.getByRole('button', { name: 'Zeigermodus' }).waitFor();
	assert.equal(await agent.page.locator('#spoken').innerText(), '');
	await customer.widget.press('stop');
	await screen(agent, 'ended');
	assert.equal(await agent.page.locator('#form').isVisible(), false);
	await picture('slave-final', agent.page);

	// The desk brings the next one by the fragment alone.
	const next = await kim();
	await agent.page.evaluate((sid) => {
		location.hash = `nosidinput=1&sid=${sid}`;
	}, next.digits);
	await same(next.customer.page, agent.page);
	await exit(agent.page);
	await screen(agent, 'ended');
	// And says that there is none.
	const idle = await ada('#nosidinput=1');
	await until(() => idle.page.locator('#headline').innerText(), (text) => text === 'No session is open', 'a page that waits for its desk');
	await picture('slave-nosession', idle.page);
});

test('a desk that is another site frames the page', { timeout: 90_000 }, async () => {
	const { customer, digits } = await kim();
	set.desk.page('/desk', `<!doctype html><title>Desk</title><body style="margin:0"><iframe src="${set.slave}#sid=${digits}&name=Ada+Agent" width="600" height="400" style="border:0"></iframe>`);
	const agent = await person(set.browser, 'Ada Agent', { viewport: { width: 620, height: 420 } });
	await agent.page.goto(`${set.desk.origin}/desk`);
	const frame = await until(() => agent.page.frames().find((f) => f.url().startsWith(set.slave)), Boolean, 'the frame');
	assert.ok(frame);
	const inFrame = /** @type {any} */ (frame); // it can all that is needed of a page here
	await same(customer.page, inFrame);
	assert.equal(frame.url(), set.slave);
	await picture('slave-framed', agent.page);

	// Both lose their connection.
	const opened = agent.wire.frames('sent', 'hello').length;
	const repair = set.service.link.cut(({ target }) => target.split('?')[0].endsWith('/stream'));
	await frame.locator('body[data-screen=reconnecting]').waitFor();
	await customer.page.evaluate(() => /** @type {any} */ (window).fill(10, 2, 0));
	repair();
	await same(customer.page, inFrame);
	assert.ok(agent.wire.frames('sent', 'hello').length > opened);
	assert.ok(agent.wire.frames('sent', 'hello').every((hello) => hello.token && !hello.resume), 'no secret of the join page');
	await frame.locator('#ask-control').click();
	await customer.widget.press('allow');
	await frame.locator('li[data-kind=control][data-state=granted]').waitFor();
	await picture('slave-framed-write', agent.page);
	// The agent reloads the frame, which has no storage here.
	await frame.evaluate(() => location.reload()).catch(() => {});
	await same(customer.page, inFrame);
	await exit(inFrame);
	await until(() => state(customer), (now) => now === 'ended', 'the end for the customer');
	await picture('slave-framed-ended', agent.page);
	assert.deepEqual(agent.problems, []);

	// By way of the API's origin, which leads on.
	const by = await kim();
	set.desk.page('/other', `<!doctype html><title>Desk</title><iframe src="${set.service.baseUrl}/cobrowse/slave.html#sid=${by.digits}" width="600" height="400"></iframe>`);
	await agent.page.goto(`${set.desk.origin}/other`);
	const led = await until(() => agent.page.frames().find((f) => f.url().startsWith(set.slave)), Boolean, 'the frame that was led on');
	await same(by.customer.page, /** @type {any} */ (led));
	await exit(/** @type {any} */ (led));
	await until(() => state(by.customer), (now) => now === 'ended', 'the end');
});

test('the picture stays where it is under the first click in control', async () => {
	const { customer, digits } = await kim('/parts.html');
	const agent = await ada(`#sid=${digits}`);
	await same(customer.page, agent.page);
	await ask(agent, 'control', customer);
	for (const viewport of [{ width: 1280, height: 800 }, { width: 600, height: 400 }, { width: 390, height: 844 }]) {
		await agent.page.setViewportSize(viewport);
		await agent.page.locator('#look').focus();
		await agent.page.locator('#keysHint').waitFor({ state: 'hidden' });
		const box = async () => JSON.stringify(await agent.page.locator('#overlay').boundingBox());
		let before = '';
		const still = await until(async () => {
			const [last, now] = [before, await box()];
			before = now;
			return last === now ? now : '';
		}, Boolean, 'rest of the picture');
		await agent.page.locator('#overlay').hover({ position: { x: 5, y: 5 } });
		await agent.page.mouse.down();
		await agent.page.locator('#keysHint').waitFor();
		await agent.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
		assert.equal(await box(), still, `${viewport.width} by ${viewport.height}`);
		await agent.page.mouse.up();
	}
	await exit(agent.page);
	await until(() => state(customer), (now) => now === 'ended', 'the end');
});

test('a page of anybody else does not frame it', async () => {
	const { customer, digits } = await kim();
	set.stranger.page('/desk', `<!doctype html><title>Stranger</title><iframe src="${set.slave}#sid=${digits}" width="600" height="400"></iframe>`);
	const stranger = await person(set.browser, 'Somebody');
	await stranger.page.goto(`${set.stranger.origin}/desk`);
	await until(() => stranger.problems, (all) => all.some((p) => p.includes('frame-ancestors') || p.includes('Framing')), 'a refusal');
	for (const frame of stranger.page.frames()) {
		assert.ok(!frame.url().startsWith(set.slave), frame.url());
	}
	assert.ok(!stranger.wire.requests.some((r) => r.startsWith('POST')), 'the page has run');
	await customer.widget.press('stop');
});

test('a session of another deployment, with pictures from elsewhere', async () => {
	set.desk.file('/dot.svg', '.svg', '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><circle cx="10" cy="10" r="10" fill="green"/></svg>');
	set.site.mount('/other', () => ({ headers: { 'content-type': 'text/html' }, body: `<!doctype html><title>Other</title>${tag(set.service.baseUrl, set.service.deploymentIds.other)}<h1>Other</h1><img src="${set.desk.origin}/dot.svg" alt="">` }));
	const { customer, digits, id } = await kim('/other');
	const agent = await ada('#name=Ada+Agent');
	await agent.page.getByLabel('nine digits').fill(digits);
	await agent.page.keyboard.press('Enter');
	await same(customer.page, agent.page);
	assert.equal(agent.page.url(), `${set.slave}?session=${id}`);
	await until(() => agent.page.evaluate(() => /** @type {any} */ (document.querySelector('.slot:last-child iframe')).contentDocument.images[0].naturalWidth), (width) => width === 20, 'the picture');
	await until(() => customer.widget.text(), (text) => text.includes('Ada Agent'), 'the name of the agent');
	await exit(agent.page);
	await screen(agent, 'ended');
	assert.deepEqual(agent.problems, []);
});

test('the same desk in two tabs', async () => {
	const { customer, digits } = await kim();
	const first = await ada(`#sid=${digits}`);
	await same(customer.page, first.page);
	const second = await first.context.newPage();
	await second.goto(`${set.slave}#sid=${digits}`);
	await same(customer.page, second);
	await screen(first, 'replaced');
	assert.equal(await first.page.locator('#headline').innerText(), 'The session is open in another window');
	await picture('slave-replaced', first.page, second);
	await first.page.getByRole('button', { name: 'Use it here' }).click();
	await same(customer.page, first.page);
	await second.locator('body[data-screen=replaced]').waitFor();
	await exit(first.page);
	await screen(first, 'ended');
	await until(() => state(customer), (now) => now === 'ended', 'the end');
});
