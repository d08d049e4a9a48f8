// Whether a viewer sees what the customer sees: the visible text in order, the
// elements, and the values of fields, compared between the customer's page and
// the frame that the viewer rebuilds it in.

import { patience, until } from './people.mjs';

/** What stands in place of a value or a text that is hidden. */
export const mask = '••••••••';

/**
 * @typedef {object} Field
 * @property {string} tag
 * @property {string} type
 * @property {string} value
 * @property {boolean} checked
 * @property {number} index of the chosen option
 * @property {boolean} shown the value belongs on the wire
 *
 * @typedef {object} Look
 * @property {string[]} text words that can be seen, in document order
 * @property {Record<string, number>} elements how many of each tag
 * @property {string[]} styles tag, colours, size of letters and kind of box of each element, in document order
 * @property {Field[]} fields
 * @property {string} title the headline of the document
 */

/**
 * Runs in the page. Open shadow roots and frames of the same origin belong to it; what is blocked is an empty box, and
 * a hidden text reads the same whatever it is.
 * @param {{viewer: boolean, shown: string, blocked: string, masked: string, mask: string}} options
 * @returns {Look | undefined}
 */
function look({ viewer, shown, blocked, masked, mask }) {
	/** @type {Document | null | undefined} */
	const start = viewer ? /** @type {HTMLIFrameElement | null} */ (document.querySelector('.slot:last-child .replayer-wrapper iframe'))?.contentDocument : document;
	if (!start?.body) {
		return undefined;
	}
	const unseen = new Set(['script', 'noscript', 'template', 'style', 'link', 'meta', 'base', 'title', 'head', 'object', 'embed']);
	/** @type {Look} */
	const found = { text: [], elements: {}, styles: [], fields: [], title: '' };
	/** @param {Node} node */
	const walk = (node) => {
		if (node.nodeType === Node.TEXT_NODE) {
			const parent = /** @type {Element | null} */ (node.parentElement ?? /** @type {any} */ (node.parentNode)?.host);
			if (parent && /\S/.test(node.nodeValue ?? '') && parent.checkVisibility({ visibilityProperty: true })) {
				const text = !viewer && parent.closest(masked) ? mask : /** @type {string} */ (node.nodeValue);
				found.text.push(...text.trim().split(/\s+/));
			}
			return;
		}
		if (node.nodeType !== Node.ELEMENT_NODE) {
			return;
		}
		const element = /** @type {any} */ (node);
		let tag = element.localName;
		if (unseen.has(tag)) {
			return;
		}
		if (tag === 'canvas') {
			tag = 'img'; // a canvas is shown as the picture that is on it
		}
		found.elements[tag] = (found.elements[tag] ?? 0) + 1;
		if (element.matches(blocked) || element.hasAttribute('rr_width')) {
			return;
		}
		const style = getComputedStyle(element);
		found.styles.push([tag, style.color, style.backgroundColor, style.fontSize, style.display].join(' '));
		if (['input', 'textarea', 'select'].includes(tag)) {
			found.fields.push({ tag, type: element.getAttribute('type') ?? '', value: element.value, checked: element.checked === true, index: element.selectedIndex ?? -1, shown: element.matches(shown) });
			return;
		}
		element.childNodes.forEach(walk);
		element.shadowRoot?.childNodes.forEach(walk);
		if (tag === 'iframe') {
			let inner;
			try {
				inner = element.contentDocument;
			} catch {
				// of another origin
			}
			inner?.body?.childNodes.forEach(walk);
		}
	};
	start.body.childNodes.forEach(walk);
	found.title = start.title;
	return found;
}

/**
 * What a page, or the replay frame of a viewer's page, shows.
 * @param {import('playwright-core').Page} page
 * @param {{viewer?: boolean, shown?: string, blocked?: string, masked?: string}} [options] selectors
 */
export async function see(page, { viewer = false, shown = '[data-cb-show]', blocked = '.rr-block, [data-cb-block]', masked = '[data-cb-mask], [contenteditable]' } = {}) {
	return page.evaluate(look, { viewer, shown, blocked, masked, mask });
}

/**
 * How two looks differ, one line per difference; nothing when they are equal.
 * @param {Look | undefined} customer
 * @param {Look | undefined} viewer
 */
export function differences(customer, viewer) {
	if (!customer || !viewer) {
		return [`the ${customer ? 'viewer' : 'customer'} sees nothing`];
	}
	/** @type {string[]} */
	const found = [];
	for (const tag of new Set([...Object.keys(customer.elements), ...Object.keys(viewer.elements)])) {
		const [want, got] = [customer.elements[tag] ?? 0, viewer.elements[tag] ?? 0];
		if (want !== got) {
			found.push(`the viewer has ${got} ${tag}, the customer ${want}`);
		}
	}
	const at = customer.text.findIndex((word, i) => viewer.text[i] !== word);
	if (at >= 0 || viewer.text.length !== customer.text.length) {
		const from = Math.max(0, (at < 0 ? customer.text.length : at) - 8);
		found.push(`the text differs after ${from} words; customer (${customer.text.length}): “${customer.text.slice(from, from + 20).join(' ')}”, viewer (${viewer.text.length}): “${viewer.text.slice(from, from + 20).join(' ')}”`);
	}
	if (customer.styles.length === viewer.styles.length) {
		// What the mouse is over, or what has the focus, may look different.
		const other = customer.styles.flatMap((style, i) => (style === viewer.styles[i] ? [] : [`${style} / ${viewer.styles[i]}`]));
		if (other.length > 3 + customer.styles.length / 100) {
			found.push(`${other.length} of ${customer.styles.length} elements look different, customer / viewer: ${other.slice(0, 5).join('; ')}`);
		}
	}
	if (customer.fields.length !== viewer.fields.length) {
		found.push(`the viewer has ${viewer.fields.length} fields, the customer ${customer.fields.length}`);
		return found;
	}
	customer.fields.forEach((want, i) => {
		const got = viewer.fields[i];
		const name = `field ${i} (${want.tag} ${want.type})`;
		if (want.checked !== got.checked) {
			found.push(`${name} is ${got.checked ? '' : 'not '}checked for the viewer`);
		}
		if (want.shown && want.index !== got.index) {
			found.push(`${name} has chosen ${got.index} for the viewer, ${want.index} for the customer`);
		}
		if (want.tag === 'select' || ['checkbox', 'radio', 'submit', 'button', 'reset', 'image', 'file', 'hidden'].includes(want.type)) {
			return; // their values stay at home, and nobody sees them
		}
		if (want.shown ? got.value !== want.value : !hidden(want, got.value)) {
			found.push(`${name} is “${got.value}” for the viewer, “${want.value}” for the customer, ${want.shown ? 'shown' : 'hidden'}`);
		}
	});
	return found;
}

/**
 * Whether got is what a viewer may see of a hidden field. A field for numbers or dates cannot show dots.
 * @param {Field} field
 * @param {string} got
 */
function hidden(field, got) {
	const texts = ['', 'text', 'search', 'tel', 'url', 'email', 'password'];
	return texts.includes(field.type) || field.tag === 'textarea' ? got === (field.value === '' ? '' : mask) : got === '' || got !== field.value;
}

/**
 * Waits until the viewer sees what the customer sees.
 * @param {import('playwright-core').Page} customer
 * @param {import('playwright-core').Page} viewer
 * @param {{shown?: string, blocked?: string, masked?: string, limit?: number}} [options]
 * @returns {Promise<Look>} of the customer's page
 */
export async function same(customer, viewer, { limit = patience, ...options } = {}) {
	/** @type {Look | undefined} */
	let last;
	await until(async () => {
		last = await see(customer, options);
		return differences(last, await see(viewer, { ...options, viewer: true }));
	}, (lines) => lines.length === 0, 'equal picture', limit);
	return /** @type {Look} */ (last);
}

/** Marks the picture as it is built now. @param {import('playwright-core').Page} viewer */
export async function mark(viewer) {
	await viewer.evaluate(() => {
		const frame = /** @type {HTMLIFrameElement} */ (document.querySelector('.slot:last-child .replayer-wrapper iframe'));
		/** @type {any} */ (frame.contentDocument?.documentElement).marked = true;
	});
}

/** Whether the picture still is the one that was marked: one that is built anew has no mark. @param {import('playwright-core').Page} viewer */
export async function unbroken(viewer) {
	return viewer.evaluate(() => {
		const frame = /** @type {HTMLIFrameElement} */ (document.querySelector('.slot:last-child .replayer-wrapper iframe'));
		return /** @type {any} */ (frame.contentDocument?.documentElement).marked === true;
	});
}
