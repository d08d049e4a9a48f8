// A dialog of the page makes all else on it inert; what the customer needs to
// take control back, and to stop, is not part of that.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { same } from './mirror.mjs';
import { picture, until } from './people.mjs';
import { pair, reaches, stage } from './stage.mjs';
import { ask, click, type } from './viewer.mjs';

const set = stage({
	build: (site) => site.page('/modal.html', `<!doctype html><html lang="en"><head><title>Coupon</title><style>dialog { transform: translateX(1px); overflow: hidden }</style></head><body>
<h1>Basket</h1><button id="open" type="button" onclick="coupon.showModal()">Coupon</button>
<dialog id="coupon"><label>Code <input id="code" data-cb-show></label> <button id="close" type="button" onclick="coupon.close()">Close</button></dialog>`),
});

test('a dialog of the page is open, and the customer takes control back and stops', async () => {
	const { customer, agent } = await pair(set, '/modal.html');
	await same(customer.page, agent.page);
	await ask(agent, 'control', customer);
	await click(agent.page, '#open');
	await until(() => customer.page.locator('#coupon').isVisible(), Boolean, 'the dialog');
	await type(agent, customer.page.locator('#code'), 'SPRING', ['#code']);
	await same(customer.page, agent.page);
	await picture('modal', customer.page, agent.page);
	await customer.page.locator('#coupon > .rr-block').waitFor({ state: 'attached' });
	await customer.widget.press('back');
	await agent.page.locator('li[data-kind=control]:not([data-state=granted])').waitFor();
	// A question stands above the page's dialog, which stays as it was.
	await ask(agent, 'draw', customer);
	assert.equal(await customer.page.evaluate(() => document.querySelector('#coupon')?.matches(':modal')), true);
	// The page closes its dialog; what is ours does not go with it.
	await customer.page.locator('#close').click();
	await customer.widget.press('pause');
	await reaches(customer, 'paused');
	await customer.widget.press('resume');
	await reaches(customer, 'live');
	await customer.page.locator('#open').click();
	// A page that throws its dialog away.
	await customer.page.locator('#coupon > .rr-block').waitFor({ state: 'attached' });
	await customer.page.evaluate(() => document.querySelector('#coupon')?.remove());
	await same(customer.page, agent.page);
	await customer.widget.press('stop');
	await reaches(customer, 'ended');
	assert.deepEqual(customer.problems, []);
});
