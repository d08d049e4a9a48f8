// The people of a scenario, each with a browser profile of their own.

import { mkdirSync } from 'node:fs';
import path from 'node:path';

import { chromium } from 'playwright-core';

import { Widget } from './widget.mjs';
import { Wire } from './wire.mjs';

/** How long a test waits for what must come, on a busy machine. In ms. */
export const patience = 20_000;

/** One Chromium for all people of a file. */
export async function launch() {
	return chromium.launch({
		executablePath: process.env.COBRIDGE_E2E_CHROMIUM || '/usr/bin/chromium',
		args: [
			'--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
			'--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
		],
	});
}

/**
 * @typedef {object} Person
 * @property {string} name
 * @property {import('playwright-core').BrowserContext} context
 * @property {import('playwright-core').Page} page
 * @property {Wire} wire
 * @property {Widget} widget what a customer sees of us
 * @property {string[]} problems what the browser complained about
 */

/**
 * A person, with a tab that shows nothing yet.
 * @param {import('playwright-core').Browser} browser
 * @param {string} name
 * @param {import('playwright-core').BrowserContextOptions} [options]
 * @returns {Promise<Person>}
 */
export async function person(browser, name, options = {}) {
	const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB', reducedMotion: 'reduce', ...options });
	context.setDefaultTimeout(patience);
	// No page of a test reaches out to the world.
	await context.route((url) => !/^(localhost|127\.0\.0\.1|\[::1\]|[\w.-]+\.localhost)$/.test(url.hostname) && url.protocol.startsWith('http'), (route) => route.abort());
	const wire = new Wire(context);
	/** @type {string[]} */
	const problems = [];
	context.on('page', (page) => {
		page.on('pageerror', (error) => problems.push(`${page.url()}: ${error.stack ?? error.message}`));
		page.on('console', (message) => {
			if (/content security policy|trusted ?types/i.test(message.text())) {
				problems.push(`${page.url()}: ${message.text()}`);
			}
		});
	});
	const page = await context.newPage();
	return { name, context, page, wire, widget: new Widget(page), problems };
}

/**
 * Waits until get gives what is wanted, and says what it gave when it does not.
 * @template T
 * @param {() => Promise<T> | T} get
 * @param {(value: T) => boolean} wanted
 * @param {string} what
 * @param {number} [limit] ms
 * @returns {Promise<T>}
 */
export async function until(get, wanted, what, limit = patience) {
	const deadline = Date.now() + limit;
	for (;;) {
		/** @type {any} */
		let value;
		/** @type {unknown} */
		let problem;
		try {
			value = await get();
			if (wanted(value)) {
				return value;
			}
		} catch (error) {
			problem = error; // a page that is just being replaced
		}
		if (Date.now() > deadline) {
			throw new Error(`no ${what} within ${limit} ms: ${problem ?? JSON.stringify(value, null, 1)}`);
		}
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
}

/**
 * Takes pictures of pages side by side, when COBRIDGE_SCREENSHOTS says where to.
 * @param {string} name of the file, without ending
 * @param {import('playwright-core').Page[]} pages
 */
export async function picture(name, ...pages) {
	const dir = process.env.COBRIDGE_SCREENSHOTS;
	if (!dir) {
		return;
	}
	mkdirSync(dir, { recursive: true });
	const shots = [];
	for (const page of pages) {
		shots.push(`data:image/png;base64,${(await page.screenshot({ caret: 'initial' })).toString('base64')}`);
	}
	const browser = pages[0].context().browser();
	const sizes = pages.map((page) => page.viewportSize() ?? { width: 1280, height: 800 });
	const viewport = { width: sizes.reduce((sum, { width }) => sum + width + 16, 16), height: Math.max(...sizes.map(({ height }) => height)) + 32 };
	const context = await /** @type {import('playwright-core').Browser} */ (browser).newContext({ viewport });
	try {
		const page = await context.newPage();
		await page.setContent(`<body style="margin:16px;display:flex;gap:16px;align-items:start;background:#667">${shots.map((shot) => `<img src="${shot}">`).join('')}`);
		await page.waitForFunction(() => [...document.images].every((image) => image.complete));
		await page.screenshot({ path: path.join(dir, `${name}.png`) });
	} finally {
		await context.close();
	}
}
