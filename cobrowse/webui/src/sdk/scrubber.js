// Takes out of rrweb's events what must not leave the page. rrweb hides form
// values; it does not hide attributes, addresses, titles and much else.

import { BLOCKED, EDITED, MASK, MASKED, SHOWN, caption, choice } from './policy.js';

const most = 200 * 1024; // characters of an image in an address

// No attribute of these is sent, and nothing that stands in the last three.
const empty = /^(meta|base|script|noscript|template)$/;
const dropped = /^(on.*|nonce|integrity|srcdoc|crossorigin|rr_(src|dataurl)|(form)?action|ping|cite|imagesrcset)$/;
const kept = /^(class|id|rr_.*)$/;
const address = /^(href|src|poster|data|background|xlink:href)$/;
const textual = /^(title|alt|placeholder|label|content|summary|xlink:title|aria-.*(label|description|text|placeholder))$/;
// Attributes whose values are of the page's making: references, sizes, states.
const known = /^(for|form|list|headers|sizes|media|color|bgcolor|autocomplete|rel|part|slot|is|lang|dir|type|role|m(in|ax)(length)?|step|low|high|optimum|span|colspan|rowspan|cols|rows|size|(margin|frame)?(width|height|border)|cell.*|tabindex|start|contenteditable|aria-.*|xml.*)$/;
const word = /^([a-z][a-z_-]{0,23})?$/;
// Of what is hidden: which one is chosen. Elsewhere: what is written in a field
// (a textarea that grows with a copy of its text).
const telling = /^aria-(checked|selected|pressed|current|active|value|pos)/;
const copies = /val|text|query|model/;
const entry = /^(input|textarea|select)$/;
const noValue = /^(hidden|checkbox|radio|image|file)$/;
const plain = { localName: '' }; // what is asked for an element that is no field

/**
 * An address without what may be secret in it: no query, fragment, matrix
 * parameters or user name. '' for schemes other than http, https and data:image.
 * @param {string} url
 * @param {RegExp} [data] which data: addresses may stay
 */
export function cleanUrl(url, data = /^data:image\//i) {
	url = url.trim();
	if (/^data:/i.test(url)) return data.test(url) && url.length <= most ? url : '';
	if (/^(?!https?:)[a-z][a-z\d+.-]*:/i.test(url)) return '';
	return url.replace(/[?#][^]*/, '').replace(/;[^/]*/g, '').replace(/^((https?:)?\/\/)[^/]*@/i, '$1');
}

const cssUrl = /((?:url\(|@import(?=\s*["']))\s*)("[^"]*"?|'[^']*'?|[^"')\s]*)/gi;

/**
 * The same for the addresses in a style sheet, rule or declaration.
 * @param {string} css
 * @param {boolean} [none] no address at all
 */
export function cleanCss(css, none) {
	if (typeof css !== 'string' || !/url\(|@import/i.test(css)) return css;
	return css.replace(cssUrl, (_, lead, url) => {
		const [, open, inner, close] = /^(["']?)([^]*?)(["']?)$/.exec(url);
		if (inner[0] === '#') return lead + url; // a piece of the same page's drawing
		return lead + open + (none ? '' : cleanUrl(inner, /^data:(image|font|application\/[\w.-]*font)/i)) + close;
	});
}

// A declaration; where text is hidden, without strings and properties of the page's own.
const styleOf = (css, none) => cleanCss(none ? css.replace(/(["'])(\\.|(?!\1).)*\1/gs, '""').replace(/--[^:;]*:[^;]*;?/g, '') : css, none);

/**
 * @param {object} parts
 * @param {{getNode(id: number): Node|null}} parts.mirror rrweb's
 * @param {import('./policy.js').Policy} parts.policy
 * @param {(el: HTMLCanvasElement, id: number) => string} [parts.picture] of a canvas, as a data: address; '' for none
 * @param {() => void} [parts.changed] called when the page set or removed a data-cb- attribute: what was sent before follows older rules
 * @returns {(event: any) => any} changes and returns an rrweb event; null when nothing of it may be sent. Unknown kinds of events are not sent
 */
export function makeScrubber({ mirror, policy, picture = () => '', changed = () => {} }) {
	let above = new Map(); // flags of parents, while one event is looked at
	const sent = new Map(); // id -> the hidden text that viewers have: equal ones tell the rhythm of typing

	const flagsOf = (node) => {
		let f = above.get(node);
		if (f === undefined) above.set(node, f = node ? policy.flags(node) : MASKED);
		return f;
	};

	const text = (id, value, tag, el, f) => {
		if (tag === 'style') return cleanCss(value);
		if (empty.test(tag)) return '';
		if (el && !policy.hidesText(el, f)) return value;
		// Text keeps its places, not its lengths: of what is masked or written
		// by the customer a constant is left, in private mode one for each word.
		const words = policy.textPrivate && !(f & (MASKED | EDITED)) && !choice.test(tag);
		value = words ? value.replace(/\S+/g, MASK.slice(4)) : /\S/.test(value) ? MASK : value;
		sent.set(id, value);
		return value;
	};

	const hiddenField = (el, f) => entry.test(el.localName) && policy.hidesValue(el, f);

	// The value of a field. Options lose theirs, so a select has the caption.
	const value = (tag, given, el, f) => {
		if (/^(li|meter|progress)$/.test(tag)) return f & MASKED ? undefined : given;
		if (!el || !entry.test(tag)) return undefined;
		const hides = policy.hidesValue(el, f); // first: it remembers fields whose type is flipped later
		if (noValue.test(el.type)) return undefined;
		if (caption.test(el.type)) return policy.hidesText(plain, f) ? MASK : given;
		if (hides) return policy.maskValue(el.value ?? given);
		return tag === 'select' ? el.selectedOptions[0]?.text ?? '' : given;
	};

	const attribute = (tag, name, given, el, f, svg) => {
		if (dropped.test(name)) return undefined;
		if (empty.test(tag)) return tag === 'meta' && name === 'charset' ? given : undefined;
		if (tag === 'link' && !/stylesheet/i.test(el?.rel) && name !== '_csstext') return undefined;
		if (given === null) return null;
		if (name === 'checked' && (!el || f & MASKED)) return undefined;
		if (name === 'selected') return el && !policy.hidesValue(el, f) ? given : undefined;
		// A text that the customer writes may hold pictures, too.
		const none = Boolean(f & MASKED || f & EDITED && !(f & SHOWN));
		const field = el && hiddenField(el, f);
		// How far a field is scrolled tells how much is in it.
		if (kept.test(name)) return field && /scroll/.test(name) ? undefined : given;
		if (name === '_csstext') return cleanCss(given, none);
		if (name === 'style') {
			// A slider is drawn from its value.
			if (svg && none || field && el.type === 'range') return undefined;
			// As the browser has read it: without comments, escapes and other spellings.
			if (typeof given === 'string') return styleOf(el?.style?.cssText ?? given, none);
			for (const key in given) {
				const v = given[key];
				if (none && /^--/.test(key)) delete given[key];
				else given[key] = Array.isArray(v) ? [cleanCss(v[0], none), v[1]] : cleanCss(v, none);
			}
			return given;
		}
		if (name === 'value') return value(tag, given, el, f);
		if (typeof given !== 'string') return given; // rrweb's own: true, numbers
		if (address.test(name) || name === 'srcset') {
			if (/^(form|button|i?frame)$/.test(tag) || none) return undefined;
			// A link stays a link to the eye.
			if (/^a(rea)?$/.test(tag)) return '#';
			if (name === 'srcset') return given.split(/,\s+/).map((s) => s.trim().replace(/^\S+/, (u) => cleanUrl(u))).filter((s) => /^\S{2}/.test(s)).join(', ') || undefined;
			return given[0] === '#' ? given : cleanUrl(given) || undefined;
		}
		// Dots are no number or date, but they are a text.
		if (name === 'type' && /^(number|month|week|time|date.*)$/.test(given) && (!el || policy.hidesValue(el, f))) return 'text';
		if (textual.test(name)) {
			if (name === 'aria-valuetext' && !(f & SHOWN)) return undefined;
			const hidden = policy.hidesText(/^opt/.test(tag) && el ? el : plain, f);
			return hidden && given ? MASK : given;
		}
		if (name === 'aria-valuenow' && (!(f & SHOWN) || f & MASKED)) return undefined;
		// A drawing that is hidden may be a code or a signature: its box is left.
		if (svg) return none ? tag === 'svg' && /^(width|height|viewbox)$/.test(name) ? given : undefined : /^ng|:/.test(name) && !/^x/.test(name) ? undefined : given;
		if (known.test(name)) return none && telling.test(name) ? undefined : given;
		return (none ? !given : word.test(given) && !copies.test(name)) ? given : undefined;
	};

	const attributes = (tag, given, el, f, svg) => {
		const out = {};
		for (const name in given) {
			const v = attribute(tag, name.toLowerCase(), given[name], el, f, svg);
			if (v !== undefined) out[name] = v;
		}
		return out;
	};

	const node = (n, f, tag, parent) => {
		const el = mirror.getNode(n.id);
		if (n.type === 3) n.textContent = text(n.id, n.textContent, tag, parent, el ? policy.step(el, f) : f);
		else if (n.type > 3) n.textContent = '';
		else if (n.type === 0) {
			if (el) f = policy.flags(el);
			for (const c of n.childNodes) node(c, f, '', null);
		} else if (n.type === 2) {
			tag = n.tagName.toLowerCase();
			f = el ? policy.step(el, f) : f | MASKED;
			const { rr_width: width, rr_height: height } = n.attributes;
			n.attributes = f & BLOCKED ? { class: 'rr-block', rr_width: width, rr_height: height } : attributes(tag, n.attributes, el, f, n.isSVG);
			if (f & BLOCKED || /^(script|noscript|template)$/.test(tag)) n.childNodes = [];
			if (tag === 'option' && !(f & BLOCKED) && el?.selected && !policy.hidesValue(el, f)) n.attributes.selected = true;
			if (tag === 'canvas' && el && !(f & BLOCKED)) {
				n.tagName = 'img';
				const box = el.getBoundingClientRect();
				n.attributes.rr_width = `${box.width}px`;
				n.attributes.rr_height = `${box.height}px`;
				const src = policy.hidesText(el, f) ? '' : picture(el, n.id);
				if (src) n.attributes.src = src;
			}
			for (const c of n.childNodes) node(c, f, tag, el);
		}
	};

	// Whether the pointer may be seen there: on a masked keypad it tells the digits.
	const open = (id) => {
		const at = mirror.getNode(id);
		return at && !(flagsOf(at) & (MASKED | BLOCKED));
	};

	const mutation = (d) => {
		d.adds = d.adds.filter((add) => {
			const up = mirror.getNode(add.parentId);
			const f = flagsOf(up);
			if (f & BLOCKED) return false;
			node(add.node, f, up?.localName ?? '', up?.nodeType === 1 ? up : up?.host);
			return true;
		});
		d.removes = d.removes.filter((r) => !(flagsOf(mirror.getNode(r.parentId)) & BLOCKED));
		d.texts = d.texts.filter((t) => {
			const at = mirror.getNode(t.id);
			const up = at?.parentNode?.host ?? at?.parentNode;
			if (!up || flagsOf(up) & BLOCKED) return false;
			const before = sent.get(t.id);
			sent.delete(t.id);
			t.value = text(t.id, t.value ?? '', up.localName ?? '', up, policy.step(at, flagsOf(up)));
			return !sent.has(t.id) || before !== t.value;
		});
		d.attributes = d.attributes.filter((a) => {
			const el = mirror.getNode(a.id);
			const f = flagsOf(el);
			if (Object.keys(a.attributes).some((name) => /^data-cb-(mask|block|show)$/.test(name))) changed();
			if (!el || f & BLOCKED) return false;
			a.attributes = attributes(el.localName, a.attributes, el, f, /svg$/.test(el.namespaceURI));
			return Object.keys(a.attributes).length > 0;
		});
		return d.adds.length || d.removes.length || d.texts.length || d.attributes.length;
	};

	// What is sent of each source of incremental events; others are not sent:
	// canvas commands, fonts, logs, definitions of custom elements.
	const rule = (r) => ({ ...r, rule: cleanCss(r.rule) });
	const sources = {
		0: mutation,
		1: (d) => (d.positions = d.positions.filter((p) => open(p.id))).length,
		2: (d) => open(d.id),
		3(d) {
			const at = mirror.getNode(d.id);
			return at && !hiddenField(at, flagsOf(at));
		},
		4: () => true,
		5(d) {
			const el = mirror.getNode(d.id);
			const f = flagsOf(el);
			if (!el || f & BLOCKED) return false;
			d.text = value(el.localName, d.text, el, f) ?? '';
			if (f & MASKED) d.isChecked = false;
			return true;
		},
		6: (d) => sources[1](d),
		7: (d) => open(d.id),
		8(d) {
			d.adds = d.adds?.map(rule);
			d.replace = cleanCss(d.replace);
			d.replaceSync = cleanCss(d.replaceSync);
			return true;
		},
		12(d) {
			d.source = 1; // a drag is a move for who looks on
			return sources[1](d);
		},
		13(d) {
			if (d.set) d.set.value = cleanCss(d.set.value);
			return true;
		},
		// Offsets in a hidden text tell its length.
		14: (d) => d.ranges.every((r) => [r.start, r.end].every((id) => {
			const at = mirror.getNode(id);
			const el = at?.nodeType === 1 ? at : at?.parentElement;
			return el && !policy.hidesText(el, flagsOf(el));
		})),
		15(d) {
			for (const s of d.styles ?? []) s.rules = s.rules.map(rule);
			return true;
		},
	};

	return (event) => {
		above = new Map();
		const d = event.data;
		if (event.type === 4) d.href = cleanUrl(d.href);
		else if (event.type === 2) {
			sent.clear();
			node(d.node, 0, '', null);
		} else if (event.type !== 3 || !sources[d.source]?.(d)) return null;
		return event;
	};
}
