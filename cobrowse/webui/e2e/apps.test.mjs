// Pages of many makes: React, parts with roots and frames of their own, a strict
// policy.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { differences, same, see } from './mirror.mjs';
import { picture, until } from './people.mjs';
import { pair, stage } from './stage.mjs';
import { ask, click, type } from './viewer.mjs';

const strict = (/** @type {string} */ service) => [
	"default-src 'none'", `script-src 'self' ${service}`, "style-src 'self'", "img-src 'self'",
	`connect-src ${service} ${service.replace('http', 'ws')}`, "require-trusted-types-for 'script'", "trusted-types 'none'",
].join('; ');

const set = stage();

test('a React page, filled in by the agent', async () => {
	const { customer, agent } = await pair(set, '/react.html');
	await same(customer.page, agent.page);
	await ask(agent, 'control', customer);

	await type(agent, customer.page.locator('#label'), 'garden', ['#label'], 'GARDEN');
	await until(() => customer.page.locator('#state').textContent(), (text) => text === 'state: GARDEN m false', 'the state of the component');
	await click(agent.page, '#gift');
	await until(() => customer.page.locator('#state').textContent(), (text) => text === 'state: GARDEN m true', 'the checkbox');
	await click(agent.page, '#add');
	await until(() => customer.page.locator('li').allTextContents(), (lines) => lines.join() === 'GARDEN in m as a gift', 'the line');

	// The customer goes on by hand, and the agent sees it.
	await customer.page.locator('#label').press('End');
	await customer.page.keyboard.type(' hose');
	await customer.page.locator('#size').selectOption('l');
	await customer.page.locator('#add').click();
	const look = await same(customer.page, agent.page);
	assert.match(look.text.join(' '), /GARDEN HOSE in l as a gift/);
	await picture('react', customer.page, agent.page);
});

test('shadow roots, a frame, a canvas, styles made by script', async () => {
	const { customer, agent } = await pair(set, '/parts.html');
	const look = await same(customer.page, agent.page);
	for (const word of ['12.00', 'Inside', 'svg']) {
		assert.ok(look.text.includes(word), `the picture has ${word}`);
	}
	assert.ok(!look.text.includes('pelamiro'), 'what is blocked counts as unseen');
	assert.equal(agent.wire.received.findIndex((frame) => frame.includes('pelamiro')), -1, 'what is blocked is on the wire');
	const box = await inside(agent.page, () => {
		const found = /** @type {Element} */ (window.picture.querySelector('body > .rr-block'));
		const { width, height } = found.getBoundingClientRect();
		return { width, height, background: getComputedStyle(found).backgroundImage };
	});
	assert.ok(box.width > 300 && box.height > 10 && box.background.includes('gradient'), `what is blocked shows as a box: ${JSON.stringify(box)}`);
	assert.equal(await inside(agent.page, () => getComputedStyle(/** @type {Element} */ (window.picture.querySelector('#styled'))).color), 'rgb(1, 2, 3)');
	assert.equal(await inside(agent.page, () => getComputedStyle(/** @type {any} */ (window.picture.querySelector('price-tag')).shadowRoot.querySelector('p')).color), 'rgb(120, 30, 30)');

	await customer.page.evaluate(() => {
		/** @type {any} */ (window).paint('rgb(0, 0, 255)');
		/** @type {any} */ (window).restyle();
	});
	await until(() => color(agent.page), ([r, , b]) => r < 40 && b > 200, 'the new colour of the canvas');
	await until(() => inside(agent.page, () => getComputedStyle(/** @type {Element} */ (window.picture.querySelector('#styled'))).color), (c) => c === 'rgb(4, 5, 6)', 'the new rule');

	await ask(agent, 'control', customer);
	await click(agent.page, 'price-tag', 'button');
	await until(() => customer.page.locator('price-tag').first().getAttribute('amount'), (amount) => amount === '11', 'a click inside the shadow root');
	await type(agent, customer.page.locator('price-tag input').first(), 'SPRING', ['price-tag', 'input']);
	await click(agent.page, '#inner', 'button');
	const frame = customer.page.frameLocator('#inner');
	await type(agent, frame.locator('#remark'), 'by the door', ['#inner', '#remark']);
	await until(() => frame.locator('body').innerText(), (text) => text.includes('pressed'), 'a click inside the frame');
	await same(customer.page, agent.page);
	await picture('parts', customer.page, agent.page);
});

test('a page with a strict policy and Trusted Types', async () => {
	const html = await (await fetch(`${set.site.origin}/strict.html`)).text();
	const policy = strict(set.service.baseUrl);
	set.site.page('/strict/', html, { 'content-security-policy': policy });
	const { customer, agent } = await pair(set, '/strict/');
	await same(customer.page, agent.page);
	await ask(agent, 'control', customer);
	await type(agent, customer.page.locator('#remark'), 'strictly', ['#remark']);
	await customer.page.evaluate(async () => {
		const moving = /** @type {HTMLElement} */ (document.getElementById('moving'));
		for (let i = 1; i < 10; i++) {
			moving.style.transform = `translateX(${i * 10}px)`;
			moving.style.color = `rgb(${i}, 0, 0)`;
			await new Promise((resolve) => setTimeout(resolve, 20));
		}
		/** @type {any} */ (document.getElementById('canvas')).getContext('2d').fillText('drawn', 2, 12);
		document.body.append(document.getElementById('moving')?.cloneNode(true) ?? '');
		await /** @type {any} */ (window).Cobridge.lint().catch(() => {});
	});
	await same(customer.page, agent.page);
	assert.deepEqual(await customer.page.evaluate(() => /** @type {any} */ (window).violations), []);
	assert.deepEqual(customer.problems, []);
	await picture('strict', customer.page, agent.page);

	// The listener does hear: a violation of the test's own is noted.
	await customer.page.evaluate(() => {
		document.body.append(Object.assign(document.createElement('img'), { src: 'http://elsewhere.localhost/x.png' }));
	});
	await until(() => customer.page.evaluate(() => /** @type {any} */ (window).violations.length), (n) => n > 0, 'the violation of the test itself');
});

test('the comparison finds what differs', async () => {
	const { customer, agent } = await pair(set, '/second.html');
	const look = await same(customer.page, agent.page);
	await inside(agent.page, () => {
		/** @type {Element} */ (window.picture.querySelector('h1')).textContent = 'Rakes';
		/** @type {Element} */ (window.picture.querySelector('tbody tr')).remove();
		/** @type {HTMLInputElement} */ (window.picture.querySelector('#pieces')).value = '7';
	});
	const found = differences(look, await see(agent.page, { viewer: true })).join('\n');
	for (const wanted of [/has 2 tr, the customer 3/, /the text differs/, /field 0 .*“7” for the viewer, “1”/]) {
		assert.match(found, wanted);
	}
});

/**
 * Runs a function in the viewer's page, with the rebuilt document as window.picture.
 * @template T
 * @param {import('playwright-core').Page} viewer
 * @param {() => T} run
 * @returns {Promise<T>}
 */
async function inside(viewer, run) {
	await viewer.evaluate(() => {
		/** @type {any} */ (window).picture = /** @type {HTMLIFrameElement} */ (document.querySelector('.slot:last-child .replayer-wrapper iframe')).contentDocument;
	});
	return viewer.evaluate(run);
}

/** The colour in the middle of the canvas as the viewer sees it. @param {import('playwright-core').Page} viewer */
async function color(viewer) {
	return viewer.evaluate(async () => {
		const frame = /** @type {HTMLIFrameElement} */ (document.querySelector('.slot:last-child .replayer-wrapper iframe'));
		const shown = /** @type {HTMLImageElement} */ (/** @type {Document} */ (frame.contentDocument).querySelector('img#chart'));
		await shown.decode();
		const canvas = document.createElement('canvas');
		const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
		context.drawImage(shown, 0, 0, 200, 100, 0, 0, 1, 1);
		return [...context.getImageData(0, 0, 1, 1).data];
	});
}
