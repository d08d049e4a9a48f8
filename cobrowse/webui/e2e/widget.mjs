// What the customer sees of us. It lives in a closed shadow root, so a test finds
// its buttons as a screen reader does, by their names, and presses them with a
// real mouse or keyboard.

/** How long to wait for a button. In ms. */
const patience = 20_000;

/**
 * @typedef {object} Found
 * @property {string} name what is read out
 * @property {string} key of its text, the same in all languages
 * @property {number} x middle, in CSS pixels of the viewport
 * @property {number} y
 */

export class Widget {
	#page;
	/** @type {import('playwright-core').CDPSession | undefined} */
	#session;

	/** @param {import('playwright-core').Page} page */
	constructor(page) {
		this.#page = page;
	}

	/** Texts that stand in our closed shadow roots, in document order. */
	async text() {
		const all = await this.#nodes();
		/** @type {string[]} */
		const texts = [];
		for (const node of all) {
			if (node.nodeName === '#text' && node.nodeValue.trim() && !['STYLE', 'SCRIPT'].includes(node.parent.nodeName) && (await this.#box(node.parent))) {
				texts.push(node.nodeValue.trim());
			}
		}
		return texts.join(' ');
	}

	/** How many elements of a kind there are, for instance lines. @param {string} tag in capitals */
	async drawn(tag) {
		return (await this.#nodes()).filter((node) => node.nodeName.toUpperCase() === tag).length;
	}

	/** Names of the buttons that can be pressed. */
	async buttons() {
		return (await this.#pressable()).map(({ name }) => name);
	}

	/**
	 * Presses a button, as soon as it is there and has come to rest.
	 * @param {string} key
	 */
	async press(key) {
		const { x, y } = await this.find(key);
		await this.#page.mouse.click(x, y);
	}

	/**
	 * @param {string} key
	 * @returns {Promise<Found>}
	 */
	async find(key) {
		const deadline = Date.now() + patience;
		/** @type {Found | undefined} */
		let before;
		for (;;) {
			const all = await this.#pressable().catch(() => []); // the page is being replaced
			const found = all.find((button) => button.key === key);
			// It may slide in: it is pressed when it has come to rest.
			if (found && before && found.x === before.x && found.y === before.y) {
				return found;
			}
			before = found;
			if (Date.now() > deadline) {
				throw new Error(`no button ${key}; there are: ${all.map((button) => `${button.key} “${button.name}”`).join(', ')}; the text is: ${await this.text()}`);
			}
			await new Promise((resolve) => setTimeout(resolve, 50));
		}
	}

	/**
	 * What a button looks like: computed values by property.
	 * @param {string} key
	 * @returns {Promise<Record<string, string>>}
	 */
	async look(key) {
		const node = (await this.#nodes()).find((n) => n.nodeName === 'BUTTON' && attribute(n, 'data-key') === key);
		const session = /** @type {import('playwright-core').CDPSession} */ (this.#session);
		await session.send('CSS.enable');
		const { computedStyle } = await session.send('CSS.getComputedStyleForNode', { nodeId: node.nodeId });
		return Object.fromEntries(computedStyle.map(({ name, value }) => [name, value]));
	}

	/** @returns {Promise<Found[]>} */
	async #pressable() {
		/** @type {Found[]} */
		const found = [];
		for (const node of await this.#nodes()) {
			if (node.nodeName !== 'BUTTON' || node.attributes.includes('disabled')) {
				continue;
			}
			const box = await this.#box(node);
			if (box) {
				found.push({ name: nameOf(node), key: attribute(node, 'data-key'), ...box });
			}
		}
		return found;
	}

	/** The nodes of closed shadow roots, in document order. @returns {Promise<any[]>} */
	async #nodes() {
		this.#session ??= await this.#page.context().newCDPSession(this.#page);
		const { root } = await this.#session.send('DOM.getDocument', { depth: -1, pierce: true });
		/** @type {any[]} */
		const nodes = [];
		const walk = (/** @type {any} */ node, /** @type {any} */ parent, /** @type {boolean} */ inside) => {
			node.parent = parent;
			if (inside) {
				nodes.push(node);
			}
			for (const child of node.children ?? []) {
				walk(child, node, inside);
			}
			for (const shadow of node.shadowRoots ?? []) {
				walk(shadow, node, inside || shadow.shadowRootType === 'closed');
			}
		};
		walk(root, undefined, false);
		return nodes;
	}

	/** The middle of a node that takes up room. @param {any} node */
	async #box(node) {
		try {
			const { model } = await /** @type {any} */ (this.#session).send('DOM.getBoxModel', { backendNodeId: node.backendNodeId });
			const [x1, y1, , , x3, y3] = model.border;
			return model.width > 0 && model.height > 0 ? { x: (x1 + x3) / 2, y: (y1 + y3) / 2 } : undefined;
		} catch {
			return undefined; // not displayed
		}
	}
}

/** @param {any} node @param {string} name */
function attribute(node, name) {
	const at = node.attributes.findIndex((/** @type {string} */ entry, /** @type {number} */ i) => i % 2 === 0 && entry === name);
	return at < 0 ? '' : node.attributes[at + 1];
}

/** @param {any} node */
function nameOf(node) {
	const label = attribute(node, 'aria-label');
	if (label) {
		return label;
	}
	/** @type {string[]} */
	const texts = [];
	const walk = (/** @type {any} */ n) => {
		if (n.nodeName === '#text') {
			texts.push(n.nodeValue);
		}
		(n.children ?? []).forEach(walk);
	};
	walk(node);
	return texts.join(' ').replaceAll(/\s+/g, ' ').trim();
}
