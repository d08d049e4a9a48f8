// Pages that others built and published, not written for a test: a documentation
// site, an admin template and an application.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { same } from './mirror.mjs';
import { launch, person, picture } from './people.mjs';
import { startService } from './service.mjs';
import { Site } from './site.mjs';
import { agree, watch } from './stage.mjs';

/** @type {Record<string, Site>} */
const sites = {};
/** @type {Awaited<ReturnType<typeof startService>>} */
let service;
/** @type {import('playwright-core').Browser} */
let browser;

before(async () => {
	for (const [name, dir] of Object.entries({ spectre: 'spectre.css/docs', gentelella: 'gentelella/dist', todo: 'todomvc-react/dist' })) {
		sites[name] = (await new Site().listen()).directory('/', `node_modules/${dir}`);
	}
	// These pages do not say which of their fields may be shown; the site does.
	const origins = Object.values(sites).map((site) => site.origin);
	service = await startService({ origins, deployments: { site: { showSelectors: ['input', 'textarea'], assetOrigins: origins } } });
	for (const site of Object.values(sites)) {
		site.embed(service.baseUrl, service.deploymentIds.site);
	}
	browser = await launch();
});

after(async () => {
	await browser?.close();
	await service?.stop();
	Object.values(sites).forEach((site) => site.close());
});

/** Opens a page, shares it, and lets an agent see it. @param {string} url */
async function pairOn(url) {
	const customer = await person(browser, 'Kim Customer');
	await customer.page.goto(url);
	const { sessionToken } = await agree(customer);
	const { agent: agentUrl } = await service.api.attach(sessionToken);
	const agent = await watch({ service, browser, site: sites.spectre }, 'Ada Agent', agentUrl);
	return { customer, agent };
}

const options = { shown: 'input:not([type=password]), textarea' };

test('a documentation site: Spectre.css', async () => {
	const { customer, agent } = await pairOn(`${sites.spectre.origin}/elements/forms.html`);
	const look = await same(customer.page, agent.page, options);
	assert.ok(look.text.length > 1500 && look.fields.length > 60, 'it is a long page with many fields');
	await picture('spectre-forms', customer.page, agent.page);
	for (const file of ['components/cards.html', 'elements/tables.html']) {
		await customer.page.goto(`${sites.spectre.origin}/${file}`);
		await same(customer.page, agent.page, options);
		await picture(`spectre-${file.split('/')[1].split('.')[0]}`, customer.page, agent.page);
	}
	await customer.page.goto(`${sites.spectre.origin}/components/accordions.html`);
	const opened = await same(customer.page, agent.page, options);
	await customer.page.locator('label.accordion-header').nth(1).click();
	await customer.page.locator('label.accordion-header').nth(2).click();
	assert.notDeepEqual((await same(customer.page, agent.page, options)).fields, opened.fields, 'other parts are open');
	await picture('spectre-accordions', customer.page, agent.page);
});

test('an admin template: Gentelella', async () => {
	const { customer, agent } = await pairOn(`${sites.gentelella.origin}/production/index.html`);
	assert.ok((await same(customer.page, agent.page, options)).text.length > 300);
	await picture('gentelella-dashboard', customer.page, agent.page);
	await customer.page.getByRole('button', { name: 'Forms' }).click();
	await same(customer.page, agent.page, options);
	await customer.page.goto(`${sites.gentelella.origin}/production/form.html`);
	const field = customer.page.locator('main input[type=text]').first();
	await field.fill('Kim Customer');
	await same(customer.page, agent.page, options);
	await picture('gentelella-form', customer.page, agent.page);
	await customer.page.goto(`${sites.gentelella.origin}/production/kanban.html`);
	await same(customer.page, agent.page, options);
	await picture('gentelella-kanban', customer.page, agent.page);
});

test('an application: TodoMVC in React', async () => {
	const { customer, agent } = await pairOn(`${sites.todo.origin}/`);
	await same(customer.page, agent.page, options);
	const input = customer.page.locator('.new-todo');
	for (const text of ['Water the seeds', 'Sharpen the spade', 'Paint the shed']) {
		await input.fill(text);
		await input.press('Enter');
	}
	await customer.page.locator('.todo-list .toggle').nth(1).click();
	let look = await same(customer.page, agent.page, options);
	assert.ok(look.text.join(' ').includes('Sharpen the spade'));
	await picture('todomvc', customer.page, agent.page);
	await customer.page.locator('.todo-list label').first().dblclick();
	await customer.page.keyboard.type(' twice');
	await same(customer.page, agent.page, options);
	await customer.page.keyboard.press('Enter');
	await customer.page.getByText('Completed', { exact: true }).click();
	look = await same(customer.page, agent.page, options);
	assert.ok(!look.text.join(' ').includes('Paint the shed'), 'the filter hides what is to do');
});
