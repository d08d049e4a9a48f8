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
		const frame = /** @type {HTMLIFrameElement | null} */ (document.querySelector('.replayer-wrapper iframe'));
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
		return { x: outer.x + (dx + r.x + r.width / 2) * scale, y: outer.y + (dy + r.y + r.height / 2) * scale };
	}, selectors), (found) => found !== null, `element ${selectors.join(' > ')} in the picture`);
}

/** Clicks an element of the picture. @param {import('playwright-core').Page} viewer @param {string[]} selectors */
export async function click(viewer, ...selectors) {
	const at = /** @type {{x: number, y: number}} */ (await point(viewer, ...selectors));
	await viewer.mouse.move(at.x, at.y);
	await viewer.mouse.click(at.x, at.y);
}

/** The viewer asks for something and the customer allows it. @param {import('./people.mjs').Person} viewer @param {RegExp} what @param {import('./people.mjs').Person} customer @param {RegExp} allow */
export async function ask(viewer, what, customer, allow) {
	await viewer.page.getByRole('button', { name: what }).click({ timeout: patience });
	await customer.widget.press(allow);
}

/** Names of what a viewer presses, in English. */
export const viewerNames = {
	askControl: /control/i,
	askNavigate: /navigat/i,
	askDraw: /draw/i,
};
