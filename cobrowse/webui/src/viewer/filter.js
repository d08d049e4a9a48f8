// The second layer against a hostile page: what a sharer sends is rebuilt from
// the parts that are known to be harmless before the replayer sees it. The first
// layers are the sandbox of the frame, in which no script runs, and the page's
// policy, which lets nothing load; see docs/security.md. What the replayer would
// throw at (names that are none, two root elements) is put right here as well,
// because an exception stops it for good.
//
// The event types and sources are those of rrweb 2.1.6.

/** Limits of one event; the server has limits of bytes and depth before that. */
export const limits = {
	nodes: 100_000,
	depth: 400,
	text: 8 << 20, // characters of all texts and attributes
	attributes: 256, // of one element
	positions: 500,
};

/** Says that an event is beyond the limits, or none of rrweb's. */
export class FilterError extends Error {}

const FullSnapshot = 2;
const Incremental = 3;
const Meta = 4;

const Source = { mutation: 0, mouseMove: 1, mouse: 2, scroll: 3, resize: 4, input: 5, touchMove: 6, rules: 8, drag: 12, declaration: 13, selection: 14, adopted: 15 };

// Elements that load, run, send or redirect. They stay as boxes of no meaning, so
// that what refers to them later finds something.
const refused = new Set([
	'script', 'noscript', 'object', 'embed', 'applet', 'param', 'base', 'meta', 'frame', 'frameset', 'portal', 'fencedframe', 'template', 'track', 'source',
	'handler', 'listener', 'webview', 'bgsound',
]);

// Elements that change an attribute of their parent.
const animating = new Set(['animate', 'set', 'animatetransform', 'animatemotion']);

// Attributes whose value is an address, of one kind or another.
const addresses = new Set([
	'href', 'src', 'srcset', 'poster', 'data', 'cite', 'longdesc', 'usemap', 'codebase', 'classid', 'archive', 'profile', 'lowsrc', 'dynsrc', 'icon',
]);

// Attributes that no picture needs.
const dropped = new Set([
	'srcdoc', 'sandbox', 'allow', 'csp', 'nonce', 'integrity', 'crossorigin', 'referrerpolicy', 'http-equiv', 'content', 'ping', 'target', 'download', 'is',
	'autofocus', 'autoplay', 'manifest', 'xml:base', 'form', 'formaction', 'action', 'background', 'attributionsrc', 'blocking', 'as', 'imagesrcset',
	'shadowrootmode', 'itemid', 'itemtype',
]);

// Elements whose address loads something that the frame shall not load at all. A
// stylesheet that the customer's browser may read comes as text.
const unloaded = new Set(['iframe', 'video', 'audio', 'input', 'link']);

// Elements about which an attribute's change has to know what they are.
const remembered = new Set([...unloaded, 'a', 'area', 'style', 'use']);

// The elements besides custom ones that can have a shadow root (DOM standard).
const hosts = new Set(['article', 'aside', 'blockquote', 'body', 'div', 'footer', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'header', 'main', 'nav', 'p', 'section', 'span']);

const elementName = /^[a-z][a-z0-9._-]{0,63}$/i;
const customName = /^[a-z][a-z0-9._]*-[a-z0-9._-]*$/;
const reservedNames = new Set(['annotation-xml', 'color-profile', 'font-face', 'font-face-src', 'font-face-uri', 'font-face-format', 'font-face-name', 'missing-glyph']);
const attributeName = /^[a-z_:@][a-z0-9_:.@-]{0,127}$/i;

/**
 * @typedef {object} Filter
 * @property {(event: object) => object | null} apply a copy of what is harmless in the event, null if nothing is. Throws FilterError.
 * @property {() => void} reset forgets the page: before the events of another one
 */

/**
 * Makes a filter for the events of one page. It remembers which nodes are what,
 * since a mutation of attributes does not say.
 * @returns {Filter}
 */
export function makeFilter() {
	/** @type {Map<number, string>} names of the elements that have rules of their own, by node */
	const names = new Map();

	return {
		reset() { names.clear(); },
		apply(event) {
			if (!isObject(event) || !isObject(event.data)) return null;
			const left = { nodes: limits.nodes, text: limits.text };
			switch (event.type) {
				case FullSnapshot:
					names.clear();
					return { type: FullSnapshot, data: snapshot(event.data, names, left), timestamp: 0 };
				case Incremental: {
					const data = incremental(event.data, names, left);
					return data && { type: Incremental, data, timestamp: 0 };
				}
				case Meta:
					return { type: Meta, data: { href: '', ...size(event.data) }, timestamp: 0 };
				default: // custom, plugin, and whatever a later version may bring
					return null;
			}
		},
	};
}

function isObject(value) {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function list(value) {
	return Array.isArray(value) ? value.filter(isObject) : [];
}

/** A number within bounds; what is none counts as 0, or the least one. */
function number(value, least, most) {
	return Math.min(most, Math.max(least, typeof value === 'number' && Number.isFinite(value) ? value : 0));
}

function id(value) {
	return Number.isSafeInteger(value) && value > 0 ? value : 0;
}

function take(value, left) {
	if (typeof value !== 'string') return '';
	left.text -= value.length;
	if (left.text < 0) throw new FilterError('too much text');
	return value;
}

/** The viewport of the sharer. */
function size(data) {
	return { width: Math.round(number(data.width, 1, 10_000)), height: Math.round(number(data.height, 1, 10_000)) };
}

function snapshot(data, names, left) {
	const offset = isObject(data.initialOffset) ? data.initialOffset : {};
	const node = isObject(data.node) && data.node.type === 0 ? serialized(data.node, names, left, 0, true) : null;
	if (!node) throw new FilterError('no document');
	return { node, initialOffset: { left: number(offset.left, -1e7, 1e7), top: number(offset.top, -1e7, 1e7) } };
}

// --- Nodes ------------------------------------------------------------------

/**
 * Rebuilds a serialised node.
 * @param {object} n
 * @param {Map<number, string>} names
 * @param {{nodes: number, text: number}} left
 * @param {number} depth
 * @param {boolean} root of the outermost document
 * @returns {object | null}
 */
function serialized(n, names, left, depth, root = false) {
	if (!isObject(n) || !id(n.id)) return null;
	if (depth > limits.depth) throw new FilterError('too deep');
	if (--left.nodes < 0) throw new FilterError('too many nodes');
	const about = { id: n.id };
	if (id(n.rootId)) about.rootId = n.rootId;
	if (n.isShadow === true) about.isShadow = true;
	switch (n.type) {
		case 0:
			return documentNode(n, about, names, left, depth, root);
		case 1:
			return { ...about, type: 1, name: /^[a-z]{1,16}$/i.test(n.name) ? n.name : 'html', publicId: identifier(n.publicId), systemId: identifier(n.systemId) };
		case 2:
			return element(n, about, names, left, depth);
		case 3:
		case 4: // a CDATA section cannot be built in a page
			return { ...about, type: 3, textContent: take(n.textContent, left), ...(n.isStyle === true ? { isStyle: true } : {}) };
		case 5:
			return { ...about, type: 5, textContent: '' };
		default:
			return null;
	}
}

function identifier(value) {
	return typeof value === 'string' && /^[\w \-+/.:,()]{0,200}$/.test(value) ? value : '';
}

function children(given, names, left, depth) {
	const all = [];
	for (const child of list(given)) {
		const kept = serialized(child, names, left, depth + 1);
		if (kept) all.push(kept);
	}
	return all;
}

/** A document has one type and one root element, and nothing else. */
function documentNode(n, about, names, left, depth, root) {
	if (depth > 0 && !root) throw new FilterError('a document inside a tree');
	let type = null;
	let top = null;
	for (const child of list(n.childNodes)) {
		if (child.type === 1 && !type && !top) type = serialized(child, names, left, depth + 1);
		else if (child.type === 2 && !top) top = serialized(child, names, left, depth + 1);
	}
	const childNodes = [type, top].filter(Boolean);
	const made = { ...about, type: 0, childNodes };
	// Quirks are written with document.write, for which only the outermost frame has a policy.
	if (root && n.compatMode === 'BackCompat' && top) made.compatMode = 'BackCompat';
	return made;
}

function element(n, about, names, left, depth) {
	const given = typeof n.tagName === 'string' ? n.tagName.toLowerCase() : '';
	const local = given.slice(given.lastIndexOf(':') + 1);
	let name = n.tagName;
	// A name like "constructor" would find a member of Object in the replayer's table.
	const odd = !elementName.test(given) || given in {};
	const harmless = !odd && !refused.has(local) && (local !== 'link' || isStylesheet(n.attributes)) && (!animating.has(local) || isAnimation(n.attributes));
	if (!harmless) name = 'span';
	const known = harmless ? local : 'span';
	if (remembered.has(known) || animating.has(known)) names.set(n.id, known);
	else names.delete(n.id);
	const svg = n.isSVG === true && harmless;
	const made = { ...about, type: 2, tagName: name, attributes: harmless ? attributes(n.attributes, known, left, svg) : { hidden: '' }, childNodes: [] };
	// The text in a refused element is that of a program.
	const inner = harmless ? n.childNodes : list(n.childNodes).filter((child) => child.type === 2);
	made.childNodes = children(inner, names, left, depth);
	if (svg) made.isSVG = true;
	if (n.needBlock === true) made.needBlock = true;
	const custom = given === n.tagName && customName.test(given) && !reservedNames.has(given);
	if (n.isCustom === true && custom && !svg) made.isCustom = true;
	if (n.isShadowHost === true && !svg && harmless && (custom || hosts.has(given))) made.isShadowHost = true;
	return made;
}

/** Only stylesheets: preconnect and dns-prefetch are governed by no policy. */
function isStylesheet(attributes) {
	if (!isObject(attributes)) return false;
	if (typeof attributes._cssText === 'string') return true;
	return typeof attributes.rel === 'string' && attributes.rel.trim().toLowerCase() === 'stylesheet';
}

/** An animation may not lead anywhere. */
function isAnimation(attributes) {
	if (!isObject(attributes)) return true;
	return Object.entries(attributes).every(([key, value]) => key.toLowerCase() !== 'attributename' || isAnimated(value));
}

function isAnimated(value) {
	return typeof value === 'string' && !/^\s*(?:[\w.-]*:)?(?:href|src|on)/i.test(value);
}

// --- Attributes -------------------------------------------------------------

function attributes(given, name, left, svg) {
	const kept = {};
	if (!isObject(given)) return kept;
	const all = Object.entries(given);
	if (all.length > limits.attributes) throw new FilterError('too many attributes');
	for (const [key, value] of all) {
		const good = attribute(key, value, name, left, svg);
		if (good !== undefined) kept[key] = good;
	}
	return kept;
}

/**
 * One attribute; undefined if it may not be there.
 * @param {string} key
 * @param {unknown} value
 * @param {string} name of the element, '' if it has no rules of its own
 */
function attribute(key, value, name, left, svg) {
	const lower = key.toLowerCase();
	left.text -= key.length;
	if (!attributeName.test(key) || key in {} || dropped.has(lower) || /^(?:[\w.-]*:)?on/.test(lower)) return undefined;
	if ((lower === 'id' || lower === 'name') && clobbers(lower, value, name)) return undefined;
	if (lower.startsWith('rr_')) return special(key, value, name, svg);
	if (lower === 'attributename') return isAnimated(value) ? value : undefined;
	if (name === 'link' && lower === 'rel') return typeof value === 'string' && value.trim().toLowerCase() === 'stylesheet' ? 'stylesheet' : undefined;
	if (addresses.has(lower) || lower.endsWith(':href')) {
		if (unloaded.has(name)) return undefined;
		if (name === 'a' || name === 'area') return lower === 'href' && typeof value === 'string' ? '#' : undefined; // looks like a link, and is none
		if (name === 'use') return typeof value === 'string' && value.startsWith('#') ? take(value, left) : undefined; // no other document
		return typeof value === 'string' ? address(lower, take(value, left)) : undefined;
	}
	if (value === null || value === true || value === false) return value;
	if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
	return typeof value === 'string' ? take(value, left) : undefined;
}

/**
 * A field named parentElement is its form's parentElement, an image or frame named
 * body the document's body (HTML standard, named access): neither the replayer nor
 * we would find what we look for, or an end of the way up. An id alone does it in
 * forms; in the document only with a name, on images.
 */
function clobbers(key, value, name) {
	const has = (of) => of && value in of.prototype;
	return typeof value === 'string' && Boolean(has(globalThis.Element) || value === 'style' || (key === 'name' || name === 'img' || name === '') && has(globalThis.Document));
}

/** What rrweb notes beside the attributes. */
function special(key, value, name, svg) {
	switch (key) {
		case 'rr_width':
		case 'rr_height':
			return typeof value === 'string' && /^-?[\d.]{1,12}(?:px|em|rem|%)?$/.test(value) ? value : undefined;
		case 'rr_scrollLeft':
		case 'rr_scrollTop':
			return number(value, -1e7, 1e7);
		case 'rr_open_mode':
			return value === 'modal' || value === 'non-modal' ? value : undefined;
		case 'rr_dataURL':
			return name === 'img' && !svg && isImage(value) ? value : undefined;
		default: // the state of media, which do not play here
			return undefined;
	}
}

function isImage(value) {
	return typeof value === 'string' && /^data:image\/[a-z0-9.+-]+[;,]/i.test(value);
}

/** @returns {string | undefined} */
function address(key, value) {
	if (key === 'srcset') {
		const parts = value.split(/,\s+/).filter((part) => isHarmless(part.trim()));
		return parts.length > 0 ? parts.join(', ') : undefined;
	}
	return isHarmless(value) ? value : undefined;
}

/**
 * Reports whether an address is http, https, an image in itself, or a place in
 * the page. Relative ones would lead to our own origin.
 */
export function isHarmless(value) {
	// Browsers ignore these where they stand (URL standard, basic URL parser).
	const bare = value.replace(/^[\u0000-\u0020]+/, '').replace(/[\t\n\r]/g, '');
	return bare === '' || bare.startsWith('#') || /^https?:\/\/[^/\\]/i.test(bare) || isImage(bare);
}

/** A change of style: property to value, [value, priority] or false. */
function styles(given, left) {
	const kept = {};
	for (const [key, value] of Object.entries(given)) {
		if (!/^-{0,2}[a-z][\w-]*$/i.test(key) || key in {}) continue;
		if (value === false) kept[key] = false;
		else if (typeof value === 'string') kept[key] = take(value, left);
		else if (Array.isArray(value) && typeof value[0] === 'string') kept[key] = [take(value[0], left), value[1] === 'important' ? 'important' : ''];
	}
	return kept;
}

// --- Incremental events -----------------------------------------------------

function incremental(data, names, left) {
	const source = data.source;
	switch (source) {
		case Source.mutation:
			return mutation(data, names, left);
		case Source.mouseMove:
		case Source.touchMove:
		case Source.drag: {
			const positions = list(data.positions).slice(0, limits.positions).filter((p) => id(p.id)).map((p) => ({
				x: number(p.x, -1e5, 1e5), y: number(p.y, -1e5, 1e5), id: p.id, timeOffset: Math.min(0, number(p.timeOffset, -1000, 0)),
			}));
			return positions.length > 0 ? { source, positions } : null;
		}
		case Source.mouse:
			if (!id(data.id) || !Number.isInteger(data.type) || data.type < 0 || data.type > 10) return null;
			return { source, type: data.type, id: data.id, x: number(data.x, -1e5, 1e5), y: number(data.y, -1e5, 1e5) };
		case Source.scroll:
			return id(data.id) ? { source, id: data.id, x: number(data.x, -1e7, 1e7), y: number(data.y, -1e7, 1e7) } : null;
		case Source.resize:
			return { source, ...size(data) };
		case Source.input:
			return id(data.id) ? { source, id: data.id, text: take(data.text, left), isChecked: data.isChecked === true } : null;
		case Source.rules:
			return rules(data, left);
		case Source.declaration:
			return declaration(data, left);
		case Source.selection:
			return {
				source,
				ranges: list(data.ranges).slice(0, 16).map((r) => ({
					start: id(r.start), startOffset: number(r.startOffset, 0, 1e7), end: id(r.end), endOffset: number(r.endOffset, 0, 1e7),
				})),
			};
		case Source.adopted:
			if (!id(data.id)) return null;
			return {
				source,
				id: data.id,
				styleIds: (Array.isArray(data.styleIds) ? data.styleIds : []).filter(id),
				styles: list(data.styles).filter((s) => id(s.styleId)).map((s) => ({ styleId: s.styleId, rules: added(s.rules, left) })),
			};
		default: // media, canvas commands, fonts, logs, definitions of elements
			return null;
	}
}

function mutation(data, names, left) {
	const adds = [];
	for (const add of list(data.adds)) {
		if (!id(add.parentId) || !isObject(add.node)) continue;
		// A document belongs into a frame; elsewhere it would replace the whole picture.
		if (add.node.type === 0 && names.get(add.parentId) !== 'iframe') continue;
		const node = serialized(add.node, names, left, 0);
		if (!node) continue;
		adds.push({ parentId: add.parentId, nextId: id(add.nextId) || null, ...(id(add.previousId) ? { previousId: add.previousId } : {}), node });
	}
	const removes = list(data.removes).filter((r) => id(r.id) && id(r.parentId)).map((r) => ({ id: r.id, parentId: r.parentId, ...(r.isShadow === true ? { isShadow: true } : {}) }));
	const texts = list(data.texts).filter((t) => id(t.id)).map((t) => ({ id: t.id, value: t.value === null ? null : take(t.value, left) }));
	const changed = [];
	for (const change of list(data.attributes)) {
		if (!id(change.id) || !isObject(change.attributes)) continue;
		const name = names.get(change.id) ?? '';
		const kept = attributes(change.attributes, name, left, false);
		if (isObject(change.attributes.style)) kept.style = styles(change.attributes.style, left);
		// A text of style belongs to what was a style before.
		if ('_cssText' in kept && name !== 'style' && name !== 'link') delete kept._cssText;
		if (Object.keys(kept).length > 0) changed.push({ id: change.id, attributes: kept });
	}
	return {
		source: Source.mutation, adds, removes, texts, attributes: changed,
		...(data.isAttachIframe === true ? { isAttachIframe: true } : {}),
	};
}

function place(value) {
	if (Number.isInteger(value) && value >= 0) return value;
	return Array.isArray(value) && value.length > 0 && value.length < 16 && value.every((i) => Number.isInteger(i) && i >= 0) ? [...value] : undefined;
}

function added(rules, left) {
	return list(rules).map((r) => ({ rule: take(r.rule, left), ...(place(r.index) === undefined ? {} : { index: place(r.index) }) }));
}

function sheet(data) {
	return { ...(id(data.id) ? { id: data.id } : {}), ...(id(data.styleId) ? { styleId: data.styleId } : {}) };
}

function rules(data, left) {
	return {
		source: Source.rules,
		...sheet(data),
		adds: added(data.adds, left),
		removes: list(data.removes).map((r) => ({ index: place(r.index) })).filter((r) => r.index !== undefined),
		...(typeof data.replace === 'string' ? { replace: take(data.replace, left) } : {}),
		...(typeof data.replaceSync === 'string' ? { replaceSync: take(data.replaceSync, left) } : {}),
	};
}

function declaration(data, left) {
	const index = place(data.index);
	if (!Array.isArray(index)) return null;
	const named = (v) => isObject(v) && typeof v.property === 'string';
	return {
		source: Source.declaration,
		...sheet(data),
		index,
		...(named(data.set) ? {
			set: { property: take(data.set.property, left), value: take(data.set.value, left), priority: data.set.priority === 'important' ? 'important' : '' },
		} : {}),
		...(named(data.remove) ? { remove: { property: take(data.remove.property, left) } } : {}),
	};
}
