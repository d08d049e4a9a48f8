// What an agent or a supervisor does in the viewer: with the mouse and the
// keyboard, on the picture and on the buttons around it.

import { patience, until } from './people.mjs';

/**
 * Where an element of the picture is in the viewer's page, in CSS pixels.
 * @param {import('playwright-core').Page} viewer
 * @param {string[]} selectors the element, or a host or frame and then the element inside
 */
export async function point(viewer, ...selectors) {
	return until(() => viewer.evaluate((path) => {
		const frame = /** @type {HTMLIFrameElement | null} */ (document.querySelector('.slot:last-child .replayer-wrapper iframe'));
		/** @type {any} */
		let root = frame?.contentDocument;
		let [dx, dy] = [0, 0];
		/** @type {any} */
		let element;
		path.forEach((selector, i) => {
			element = root?.querySelector(selector);
			if (element && i < path.length - 1) {
				if (element.localName === 'iframe') {
					const r = element.getBoundingClientRect();
					[dx, dy] = [dx + r.x + element.clientLeft, dy + r.y + element.clientTop];
				}
				root = element.shadowRoot ?? element.contentDocument;
			}
		});
		if (!frame || !element) {
			return null;
		}
		const outer = frame.getBoundingClientRect();
		const scale = outer.width / frame.offsetWidth;
		const r = element.getBoundingClientRect();
		const y = dy + r.y + r.height / 2;
		return {
			x: outer.x + (dx + r.x + r.width / 2) * scale,
			y: outer.y + y * scale,
			// How far it is out of sight, in pixels of the sharer's page.
			off: y < 8 ? y - frame.offsetHeight / 3 : y > frame.offsetHeight - 8 ? y - frame.offsetHeight / 1.5 : 0,
			middle: { x: outer.x + outer.width / 2, y: outer.y + outer.height / 2 },
		};
	}, selectors), (found) => found !== null, `element ${selectors.join(' > ')} in the picture`);
}

/**
 * Clicks an element of the picture; scrolls the customer's page to it with the wheel, which takes control.
 * @param {import('playwright-core').Page} viewer
 * @param {string[]} selectors
 */
export async function click(viewer, ...selectors) {
	let at = await rest(viewer, ...selectors);
	for (let tries = 0; at?.off && tries < 10; tries++) {
		await viewer.mouse.move(at.middle.x, at.middle.y);
		await viewer.mouse.wheel(0, at.off);
		await viewer.waitForTimeout(300);
		at = await rest(viewer, ...selectors);
	}
	if (!at || at.off) {
		throw new Error(`${selectors.join(' > ')} does not scroll into sight`);
	}
	await viewer.mouse.move(at.x, at.y);
	await viewer.mouse.click(at.x, at.y);
}

/** Where an element is once it stays there: scrolling is replayed smoothly. @param {import('playwright-core').Page} viewer @param {string[]} selectors */
async function rest(viewer, ...selectors) {
	let before = '';
	return until(async () => {
		const at = await point(viewer, ...selectors);
		const same = JSON.stringify(at) === before;
		before = JSON.stringify(at);
		await viewer.waitForTimeout(150);
		return same ? at : null;
	}, (at) => at !== null, `rest of ${selectors.join(' > ')}`);
}

/**
 * The viewer clicks into a field and types, until the customer's field has it.
 * @param {import('./people.mjs').Person} viewer
 * @param {import('playwright-core').Locator} field in the customer's page
 * @param {string} text
 * @param {string[]} selectors
 * @param {string} [wanted] when the page makes something else of it
 */
export async function type(viewer, field, text, selectors, wanted = text) {
	await click(viewer.page, ...selectors);
	await viewer.page.keyboard.type(text, { delay: 30 });
	try {
		await until(() => field.inputValue(), (value) => value === wanted, `“${wanted}” in ${selectors.join(' > ')}`);
	} catch (error) {
		const about = [...viewer.wire.frames('sent', 'ctl'), ...viewer.wire.frames('received', 'done'), ...viewer.wire.frames('received', 'grants')].map((frame) => JSON.stringify(frame));
		throw new Error(`${/** @type {Error} */ (error).message}\n${about.slice(-40).join('\n')}`);
	}
}

/**
 * The viewer asks, the customer allows it, and the viewer is told.
 * @param {import('./people.mjs').Person} viewer
 * @param {'control' | 'draw' | 'navigate'} kind
 * @param {import('./people.mjs').Person} customer
 */
export async function ask(viewer, kind, customer) {
	await viewer.page.locator(`#ask-${kind}`).click();
	await customer.widget.press('allow');
	await granted(viewer, kind);
}

/** Waits until the viewer has been granted something. @param {import('./people.mjs').Person} viewer @param {'control' | 'draw' | 'navigate'} kind */
export async function granted(viewer, kind) {
	await viewer.page.locator(`li[data-kind=${kind}][data-state=granted]`).waitFor();
}

/** Waits for a screen of the viewer: waiting, live, reconnecting, ended … @param {import('./people.mjs').Person} viewer @param {string} name */
export async function screen(viewer, name) {
	await viewer.page.locator(`body[data-screen=${name}]`).waitFor();
}
