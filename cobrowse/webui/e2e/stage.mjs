// The usual set of a scenario: a web site, a service that knows it, a browser, and
// people who share and watch a page of it.

import { after, before } from 'node:test';

import { launch, patience, person, until } from './people.mjs';
import { startService } from './service.mjs';
import { Site } from './site.mjs';

/**
 * @typedef {object} Stage
 * @property {Site} site
 * @property {Awaited<ReturnType<typeof startService>>} service
 * @property {import('playwright-core').Browser} browser
 */

/**
 * Sets the stage before the tests of a file and clears it after them. What it returns is filled when they run.
 * @param {object} [options]
 * @param {Record<string, any>} [options.rules] of the deployment
 * @param {Parameters<typeof startService>[0]['settings']} [options.settings] of the configuration file
 * @param {(site: Site) => void} [options.build] mounts what the site has besides the directory pages
 * @param {string} [options.attributes] of the script's tag
 * @returns {Stage}
 */
export function stage({ rules = {}, settings = {}, build = () => {}, attributes = '' } = {}) {
	const set = /** @type {Stage} */ ({});
	before(async () => {
		set.site = await new Site().listen();
		set.service = await startService({ origins: [set.site.origin], deployments: { site: rules }, settings });
		set.site.embed(set.service.baseUrl, set.service.deploymentIds.site, attributes);
		set.site.directory('/', 'pages').react('/react.js');
		build(set.site);
		set.browser = await launch();
	});
	after(async () => {
		await set.browser?.close();
		await set.service?.stop();
		set.site?.close();
	});
	return set;
}

/**
 * Somebody opens a page of the site and shares it from JavaScript.
 * @param {Stage} set
 * @param {string} target path of the page
 * @returns {Promise<{customer: import('./people.mjs').Person, session: string, agentUrl: string}>}
 */
export async function share(set, target) {
	const customer = await person(set.browser, 'Kim Customer');
	await customer.page.goto(set.site.origin + target);
	const { sessionToken } = await agree(customer);
	const { id, agent } = await set.service.api.attach(sessionToken);
	return { customer, session: id, agentUrl: agent };
}

/**
 * Starts sharing from JavaScript and agrees to it.
 * @param {import('./people.mjs').Person} customer
 * @returns {Promise<{sessionId: string, sessionToken: string}>}
 */
export async function agree(customer) {
	await customer.page.waitForFunction(() => 'Cobridge' in window);
	await customer.page.evaluate(() => {
		/** @type {any} */ (window).starting = /** @type {any} */ (window).Cobridge.start({ name: 'Kim Customer' });
	});
	await customer.widget.press('agree');
	return customer.page.evaluate(() => /** @type {any} */ (window).starting);
}

/**
 * A viewer comes in by a join URL.
 * @param {Stage} set
 * @param {string} name
 * @param {string} url
 */
export async function watch(set, name, url) {
	const viewer = await person(set.browser, name);
	await viewer.page.goto(url);
	return viewer;
}

/**
 * A page that a customer shares, and an agent who sees it.
 * @param {Stage} set
 * @param {string} target
 */
export async function pair(set, target) {
	const { customer, session, agentUrl } = await share(set, target);
	const agent = await watch(set, 'Ada Agent', agentUrl);
	return { customer, agent, session };
}

/** What the customer script says about itself. @param {import('./people.mjs').Person} customer */
export async function state(customer) {
	return customer.page.evaluate(() => /** @type {any} */ (window).Cobridge?.state);
}

/** Waits for a state of the customer script. @param {import('./people.mjs').Person} customer @param {string} wanted @param {number} [limit] */
export async function reaches(customer, wanted, limit = patience) {
	await until(() => state(customer), (now) => now === wanted, `state ${wanted}`, limit);
}
