// A page that changes its mind: what it hides later leaves the agent's picture, and
// what it shows again comes back.

import { test } from 'node:test';

import { until } from './people.mjs';
import { pair, stage } from './stage.mjs';
import { screen } from './viewer.mjs';

const set = stage({
	build: (site) => site.page('/later.html', `<!doctype html><html lang="en"><head><title>Later</title></head><body>
<h1>Order</h1><p id="block">Bank account</p><p id="mask">Street and town</p></body></html>`),
});

test('rules that the page sets later', async () => {
	const { customer, agent } = await pair(set, '/later.html');
	await screen(agent, 'live');
	const seen = () => agent.page.evaluate(() => /** @type {any} */ (document.querySelector('.slot:last-child .replayer-wrapper iframe'))?.contentDocument?.body?.innerText ?? '');
	await until(seen, (text) => text.includes('Bank account') && text.includes('Street'), 'the page');
	for (const rule of ['block', 'mask']) {
		await customer.page.evaluate((name) => document.querySelector(`#${name}`)?.setAttribute(`data-cb-${name}`, ''), rule);
		const text = { block: 'Bank account', mask: 'Street' }[rule] ?? '';
		await until(seen, (now) => now.includes('Order') && !now.includes(text), `a picture without what ${rule} hides`);
		await customer.page.evaluate((name) => document.querySelector(`#${name}`)?.removeAttribute(`data-cb-${name}`), rule);
		await until(seen, (now) => now.includes(text), `a picture with what ${rule} hid`);
	}
});
