// As much of a document as the policy and the scrubber look at, for tests that
// run in Node: elements with attributes, selectors of one compound each, shadow
// roots and frames. Like a browser, it lets the end of a selector close what is
// open; unlike one, it knows no combinators.

const part = /^(?:([\w-]+|\*)|\.([\w-]+)|#([\w-]+)|\[\s*([\w-]+)\s*(?:([~^$*|]?=)\s*(?:"([^"]*)(?:"|$)|'([^']*)(?:'|$)|([\w-]+))\s*)?(?:\]|$)|:(not|is)\()/;

/** Parses a selector list into functions; throws for what is none. */
function parse(selector, inner = false) {
	const list = [];
	let compound = [];
	let rest = selector.replace(/\/\*[^]*?(\*\/|$)/g, '').trim();
	for (;;) {
		const m = part.exec(rest);
		if (m) {
			rest = rest.slice(m[0].length);
			const [, tag, cls, id, name, op, v1, v2, v3, fn] = m;
			const value = v1 ?? v2 ?? v3;
			if (tag) compound.push((el) => tag === '*' || el.localName === tag.toLowerCase());
			else if (cls) compound.push((el) => (el.getAttribute('class') ?? '').split(/\s+/).includes(cls));
			else if (id) compound.push((el) => el.getAttribute('id') === id);
			else if (name) compound.push((el) => {
				const have = el.getAttribute(name);
				if (have === null || !op) return have !== null;
				return { '=': have === value, '^=': have.startsWith(value), '*=': have.includes(value), '$=': have.endsWith(value), '~=': have.split(/\s+/).includes(value) }[op];
			});
			else {
				const [some, after] = parse(rest, true);
				rest = after;
				compound.push((el) => some(el) === (fn === 'is'));
			}
			continue;
		}
		if (!compound.length) throw new SyntaxError(`no selector: ${selector}`);
		list.push(compound);
		rest = rest.trimStart();
		if (rest[0] === ',') {
			compound = [];
			rest = rest.slice(1).trimStart();
			continue;
		}
		const some = (el) => list.some((c) => c.every((test) => test(el)));
		if (inner && (rest === '' || rest[0] === ')')) return [some, rest.slice(1)];
		if (rest !== '') throw new SyntaxError(`no selector: ${selector}`);
		return some;
	}
}

class FakeNode {
	parentNode = null;
	childNodes = [];
	constructor(nodeType) { this.nodeType = nodeType; }
	get parentElement() { return this.parentNode?.nodeType === 1 ? this.parentNode : null; }
	append(...nodes) {
		for (const node of nodes) {
			node.parentNode = this;
			this.childNodes.push(node);
		}
		return this;
	}
	getRootNode() {
		let at = this;
		while (at.parentNode) at = at.parentNode;
		return at;
	}
}

export class FakeText extends FakeNode {
	constructor(data) {
		super(3);
		this.data = data;
	}
}

export class FakeDocument extends FakeNode {
	designMode = 'off';
	/** @param {FakeElement|null} [frame] the iframe that it stands in @param {string} [href] */
	constructor(frame = null, href = 'about:srcdoc') {
		super(9);
		this.defaultView = { frameElement: frame, location: { href } };
	}
}

export class FakeElement extends FakeNode {
	namespaceURI = 'http://www.w3.org/1999/xhtml';
	isConnected = true;
	shadowRoot = null;
	/** @param {string} tag @param {Record<string, string>} [attributes] */
	constructor(tag, attributes = {}) {
		super(1);
		this.localName = tag;
		this.attributes = new Map(Object.entries(attributes));
		if (/^(input|textarea|select)$/.test(tag)) this.value = attributes.value ?? '';
	}
	get id() { return this.getAttribute('id') ?? ''; }
	get name() { return this.getAttribute('name') ?? ''; }
	get rel() { return this.getAttribute('rel') ?? ''; }
	get type() {
		if (this.localName === 'button') return this.getAttribute('type') ?? 'submit';
		return { input: this.getAttribute('type') ?? 'text', textarea: 'textarea', select: 'select-one' }[this.localName];
	}
	set type(type) { this.attributes.set('type', type); }
	get selected() { return this.getAttribute('selected') !== null; }
	get text() { return this.childNodes.map((n) => n.data ?? '').join('').trim(); }
	get selectedOptions() { return this.childNodes.filter((n) => n.selected); }
	getAttribute(name) { return this.attributes.get(name) ?? null; }
	hasAttribute(name) { return this.attributes.has(name); }
	matches(selector) { return parse(selector)(this); }
	closest(selector) {
		const matches = parse(selector);
		for (let at = this; at?.nodeType === 1; at = at.parentNode) if (matches(at)) return at;
		return null;
	}
	attachShadow() {
		const root = new FakeNode(11);
		root.host = this;
		this.shadowRoot = root;
		return root;
	}
	getBoundingClientRect() { return { width: 300, height: 150 }; }
}

/** el('div', {class: 'a'}, el('p', {}, 'text')) */
export function el(tag, attributes = {}, ...children) {
	return new FakeElement(tag, attributes).append(...children.map((c) => (typeof c === 'string' ? new FakeText(c) : c)));
}

/** Puts the parser of selectors where the policy looks for it, and an address. */
export function install() {
	globalThis.document ??= { createDocumentFragment: () => ({ querySelector: parse }) };
	globalThis.location ??= { href: 'https://shop.example/' };
}

/**
 * rrweb's mirror for a tree, and the tree as rrweb would serialise it: the
 * attributes as they stand, values not masked, ids counted from 1.
 * @param {FakeNode} root
 */
export function serialise(root) {
	const nodes = new Map();
	let last = 0;
	const visit = (node) => {
		const id = ++last;
		nodes.set(id, node);
		if (node.nodeType === 3) return { type: 3, textContent: node.data, id };
		const childNodes = [];
		const out = node.nodeType === 9 ? { type: 0, childNodes, id } : { type: 2, tagName: node.localName, attributes: Object.fromEntries(node.attributes), childNodes, id };
		if (/svg$/.test(node.namespaceURI)) out.isSVG = true;
		for (const child of node.childNodes) childNodes.push(visit(child));
		for (const child of node.shadowRoot?.childNodes ?? []) childNodes.push({ ...visit(child), isShadow: true });
		return out;
	};
	const node = visit(root);
	const mirror = {
		getNode: (id) => nodes.get(id) ?? null,
		getId: (wanted) => [...nodes].find(([, n]) => n === wanted)?.[0] ?? -1,
	};
	return { node, mirror, add: visit };
}
