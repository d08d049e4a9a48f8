// What may leave the customer's page. Values of form fields stay unless a rule
// shows them, and no rule shows what is on the never list. The rules of the
// server and of the page are united: the page can only take away. So can rules for
// pages with a certain address, which hold as soon as a page has it, and of what they
// have hidden until it is gone: an address often changes before what stands there.

/** What stands in place of a hidden value, whatever its length. */
export const MASK = '\u2022'.repeat(8);

// What the rules say about an element, inherited by everything inside it.
const RULED = 1; // by a rule that holds
const HELD = 64; // by one that held here before: not inherited
export const MASKED = RULED | HELD; // to ask for, either of them
export const SHOWN = 2;
export const BLOCKED = 4;
export const EDITED = 8; // a text that the customer writes: contenteditable
export const READONLY = 16;
const NEVER = 32;
const PLACED = 128; // a page rule masks it

const password = /(^|\s)(cc-|one-time-code|(current|new)-password)/i; // in autocomplete
const field = /^(input|textarea|select|opt.*|datalist)$/;
export const caption = /^(submit|button|reset)$/; // inputs whose value is one
export const choice = /^(textarea|select|opt.*|datalist)$/; // text inside is a field's value

/**
 * @typedef {object} Rules the deployment's rules, as the settings and the welcome frame carry them
 * @property {'visible'|'private'} [textMode]
 * @property {string[]} [maskSelectors]
 * @property {string[]} [showSelectors]
 * @property {string[]} [blockSelectors]
 * @property {string[]} [neverShowSelectors]
 * @property {string[]} [readonlySelectors]
 * @property {{urlFragment: string, condition: string}[]} [pauseCriteria]
 * @property {{urlPattern: string, maskSelectors?: string[], readonlySelectors?: string[]}[]} [pageRules] hold where the pattern matches the whole address, with or without its fragment: in that page, and in frames in it; what they have masked there stays masked until it is gone
 */

/**
 * @typedef {object} PageRules what the page asks for; each a selector list or several of them
 * @property {'private'|'visible'} [text] 'visible' cannot undo the server's 'private'
 * @property {string|string[]} [mask]
 * @property {string|string[]} [show]
 * @property {string|string[]} [block]
 * @property {string|string[]} [readonly]
 */

/**
 * @typedef {object} Policy All that take an element look at its ancestors too, across shadow roots and frames of the same origin.
 * @property {(el: Element) => boolean} isNever the never list: password (also after its type was flipped, or in a field that took its place), hidden, card and one-time-code fields, configured ones
 * @property {(el: Element) => boolean} isMasked its value is hidden (fields, by default all), or its text by a mask rule (others)
 * @property {(el: Element) => boolean} isPrivate a rule hides it, not merely the default: never, mask or block. Such a field is told to viewers as private and is closed to remote control
 * @property {(el: Element) => boolean} isBlocked
 * @property {(el: Element) => boolean} isTextHidden its text and its text-like attributes (title, alt, placeholder …) are hidden
 * @property {(el: Element) => boolean} isReadonly an agent may not change it
 * @property {(url: string) => boolean} paused nothing is shared of a page with this address
 * @property {(on: boolean) => void} close while it is on, whatever is looked at stays masked until it is gone: nothing is shared of the page now, and its address may go before it does
 * @property {(text: string) => string} maskValue MASK, or '' for nothing
 * @property {string} blockSelector all block selectors as one list, for rrweb
 * @property {boolean} textPrivate text is hidden unless a show rule says otherwise
 * @property {(node: Node) => number} flags the bits above for a node and what it stands in
 * @property {(node: Node, above: number) => number} step the same when those of its parent are known
 * @property {(el: Element, flags: number) => boolean} hidesValue
 * @property {(el: Element, flags: number) => boolean} hidesText
 * @property {Record<'block'|'never'|'mask'|'show'|'readonly', string[]>} rules all selectors, for the lint
 * @property {(node: Node) => {urlPattern: string, mask: string[], readonly: string[]}[]} pageRules those that hold where a node is, for the lint
 * @property {() => boolean} moved whether page rules have come into force, or have ceased to hold, in a page or frame since this was last asked: what viewers have follows other rules
 * @property {(el: Element) => string} never why the built-in never list forbids the field: "type=password"; '' if it does not
 */

// A selector that swallows what is appended to it (an open bracket, string,
// comment or escape) would take its neighbours with it when they are joined.
const closers = [')', ']', '"', '\'', '*/'];

function valid(selector) {
	const nowhere = document.createDocumentFragment();
	const parses = (s) => {
		try { nowhere.querySelector(s); return true; } catch { return false; }
	};
	return parses(selector) && !closers.some((c) => parses(selector + c));
}

/**
 * The forms of an address that rules are matched against: as the browser has it,
 * with its fragment and without, and both as many servers read them, by which one page has many addresses: letters written
 * as %63, slashes twice, parameters in the path.
 * @param {string} href
 */
const formsOf = (href) => {
	const [, raw, host, path, query, fragment] = /^((\w+:\/\/[^/?#]*)?([^?#]*)([^#]*))(.*)$/s.exec(href);
	const plain = (part) => part.replace(/%[\da-f]{2}/gi, (code) => (/^%(2[1246-9a-f]|[3-6][\da-e]|[4-6]f|7[\da-e])$/i.test(code) ? decodeURIComponent(code) : code.toUpperCase()));
	const read = (host ?? '') + plain(path).replace(/;[^/]*/g, '').replace(/\/{2,}/g, '/') + plain(query);
	return [href, raw, read, read + plain(fragment)];
};

// The parent, across the borders of shadow roots and of frames.
export function parent(node) {
	try { return node.parentNode || node.host || node.defaultView?.frameElement; } catch { return null; }
}

/**
 * The outermost of what is private around a private element: the key of a masked
 * keypad that has the focus would tell the digit.
 * @param {Policy} policy
 * @param {any} el
 */
export const region = (policy, el) => {
	for (let up; (up = parent(el)) && policy.isPrivate(up);) el = up;
	return el;
};

/**
 * What may be told of the page in front: its address and title, or nothing.
 * @param {Policy} policy
 * @param {string} why it is not shown; '' if it is
 */
export const pageOf = (policy, why) => {
	const title = document.querySelector('title');
	return why ? { url: '', title: '' } : {
		url: location.origin + location.pathname,
		title: title && ![title, ...title.childNodes].some(policy.isTextHidden) ? document.title.slice(0, 200) : '',
	};
};

const list = (more) => [].concat(more ?? []).filter(Boolean);

/**
 * Unites the rules. A mask, block, never or readonly selector that is no
 * selector makes it throw an Error that names it (also as .selector): better
 * nothing is shared than too much. A show selector that is none is left out.
 * @param {Rules} rules
 * @param {PageRules} [page]
 * @returns {Policy}
 */
export function makePolicy(rules, page = {}) {
	const all = {
		block: ['[data-cb-block]', '.rr-block', ...list(rules.blockSelectors), ...list(page.block)],
		never: list(rules.neverShowSelectors),
		mask: ['[data-cb-mask]', ...list(rules.maskSelectors), ...list(page.mask)],
		show: ['[data-cb-show]', ...list(rules.showSelectors), ...list(page.show)].filter(valid),
		readonly: ['[data-cb-readonly]', ...list(rules.readonlySelectors), ...list(page.readonly)],
	};
	const refuse = (kind, selector) => {
		throw Object.assign(new Error(`cobridge: not a selector (${kind}): ${selector}`), { selector, kind });
	};
	const check = (sets) => {
		for (const kind in sets) for (const selector of sets[kind]) valid(selector) || refuse(kind, selector);
	};
	check(all);
	const patterns = [];
	const pages = list(rules.pageRules).map(({ urlPattern, maskSelectors, readonlySelectors }) => {
		try { patterns.push(new RegExp(`^(?:${urlPattern})$`)); } catch { refuse('page', urlPattern); }
		const sets = { mask: list(maskSelectors), readonly: list(readonlySelectors) };
		check(sets);
		return { urlPattern, ...sets };
	});
	const lists = [
		[BLOCKED, all.block.join()],
		[RULED | NEVER, all.never.join()],
		[RULED, all.mask.join()],
		[SHOWN, all.show.join()],
		[READONLY, all.readonly.join()],
		[EDITED, '[contenteditable]:not([contenteditable="false"])'],
		...pages.flatMap(({ mask, readonly }, i) => [[RULED | PLACED, mask.join(), i], [READONLY, readonly.join(), i]]),
	].filter(([, selector]) => selector);
	const any = lists.map(([, selector]) => selector).join();
	const textPrivate = rules.textMode === 'private' || page.text === 'private';

	// Fields that were on the never list stay there, whatever the page makes of
	// them; and a text field with the name of a password field is the same secret.
	const seen = new WeakSet();
	const names = new Set();
	// One without a name is known by what is in it.
	const passwords = [];
	const same = ({ value }) => value?.length > 3 && passwords.some((ref) => ref.deref()?.value === value);

	const paused = (url) => {
		const { href, origin } = new URL(url, globalThis.location?.href);
		const read = formsOf(href).at(-1) ?? href;
		// With and without the origin, with and without query and fragment.
		const forms = [href, read].flatMap((s) => [s, s.slice(origin.length)]).flatMap((s) => [s, s.replace(/[?#].*/, '')]);
		return list(rules.pauseCriteria).some(({ urlFragment: part, condition }) => ({
			includes: href.includes(part) || read.includes(part),
			doesnotinclude: !href.includes(part),
			startswith: forms.some((s) => s.startsWith(part)),
			endswith: forms.some((s) => s.endsWith(part)),
			equals: forms.includes(part),
		})[String(condition).toLowerCase()] ?? true);
	};

	// Which page rules hold in a window, one answer for each.
	const known = new WeakMap(); // document -> addresses and answers
	let changed = false;
	const holding = (view) => {
		const addresses = [];
		try {
			// Not by its parent: a script of the page may have a variable of that name.
			for (let at = view; at; at = at.frameElement?.ownerDocument.defaultView) addresses.push(...formsOf(at.location.href));
		} catch { /* nothing is around it that can be told */ }
		const key = addresses.join(' ');
		let now = known.get(view.document);
		if (now?.key !== key) {
			const yes = patterns.map((pattern) => addresses.some((address) => pattern.test(address)));
			if (now && `${yes}` !== `${now.yes}`) changed = true;
			known.set(view.document, now = { key, yes });
		}
		return now.yes;
	};
	const holds = (node, i) => holding(node.ownerDocument?.defaultView ?? window)[i];
	const visit = (view) => {
		try {
			holding(view);
			for (const el of view.document.getElementsByTagName('iframe')) visit(el.contentWindow);
		} catch { /* of another origin */ }
	};

	const held = new WeakSet(); // what page rules have masked, or a private page has brought
	let closed = false;
	const hold = (node, f) => {
		if (f & PLACED || closed) held.add(node);
		return held.has(node) ? f | HELD : f;
	};

	const own = (node) => {
		// It is shown where the slot stands.
		let f = node.assignedSlot ? flags(node.assignedSlot) & ~(SHOWN | HELD) : 0;
		if (node.nodeType === 1 && node.matches(any)) for (const [bits, selector, i] of lists) if (node.matches(selector) && (i === undefined || holds(node, i))) f |= bits;
		return f;
	};

	const flags = (node) => {
		// What has left the page has left the elements whose rules it had.
		let f = node.isConnected === false ? RULED : 0;
		let steps = 0;
		for (let at = node; at; at = parent(at)) {
			if (at.nodeType === 9 && !at.defaultView) f |= RULED;
			// A form with a field named parentNode would lead in circles.
			if (++steps > 999) return f | RULED;
			f |= own(at);
			if (at.designMode === 'on') f |= EDITED;
			// A frame that shows a page of which nothing is shared.
			const { frameElement, location } = at.defaultView ?? {};
			if (frameElement && !/^about:/.test(location.href) && paused(location.href)) f |= BLOCKED;
		}
		return hold(node, f);
	};

	// Why the built-in list forbids the field, or ''.
	const never = (el) => {
		if (/^opt/.test(el.localName)) el = el.closest('select') || el;
		if (!field.test(el.localName)) return '';
		const auto = el.getAttribute('autocomplete');
		let why = '';
		if (el.type === 'password' || el.hasAttribute('data-rr-is-password')) {
			why = 'type=password';
			for (const name of [el.name, el.id]) if (name) names.add(name);
			if (!seen.has(el)) passwords.push(new WeakRef(el));
		} else if (el.type === 'hidden') why = 'type=hidden';
		else if (password.test(auto)) why = 'autocomplete=' + auto;
		else if (seen.has(el) || names.has(el.name) || names.has(el.id) || same(el)) why = 'was type=password';
		if (why) seen.add(el);
		return why;
	};

	const isValue = (el, f) => f & EDITED || (field.test(el.localName) && !caption.test(el.type));
	const shows = (f) => f & SHOWN && !(f & (MASKED | BLOCKED));
	const hidesValue = (el, f) => Boolean(never(el)) || !shows(f);
	const hidesText = (el, f) => Boolean(f & (MASKED | BLOCKED))
		|| (Boolean(textPrivate || f & EDITED) && !(f & SHOWN))
		|| (choice.test(el.localName) && hidesValue(el, f));

	if (globalThis.document?.querySelectorAll) for (const el of document.querySelectorAll('input[type=password]')) never(el);

	return {
		rules: all,
		never,
		pageRules: (node) => pages.filter((_, i) => holds(node, i)),
		moved() {
			if (pages[0]) visit(window);
			const was = changed;
			changed = false;
			return was;
		},
		textPrivate,
		blockSelector: all.block.join(),
		flags,
		step: (el, above) => hold(el, above & ~HELD | own(el)),
		hidesValue,
		hidesText,
		isNever: (el) => Boolean(never(el) || flags(el) & NEVER),
		isMasked(el) {
			const f = flags(el);
			return isValue(el, f) ? hidesValue(el, f) : Boolean(f & MASKED);
		},
		isPrivate: (el) => Boolean(never(el) || flags(el) & (MASKED | BLOCKED)),
		isBlocked: (el) => Boolean(flags(el) & BLOCKED),
		// The placeholder of a field is not its value.
		isTextHidden: (el) => hidesText(field.test(el.localName) ? { localName: '' } : el, flags(el)),
		isReadonly: (el) => Boolean(flags(el) & READONLY),
		paused,
		close(on) {
			closed = on;
			// Nobody tells that a title has changed.
			if (on) document.querySelector?.('title')?.childNodes.forEach(flags);
		},
		maskValue: (text) => (text ? MASK : ''),
	};
}
