// The masking lint: every field and attribute of a page with the rule that hides
// or shows it. It asks the scrubber itself what it would send, so that it cannot
// say anything else than what happens, and it never repeats content. A bundle of
// its own, loaded on demand.

import { EDITED, MASKED, parent } from './policy.js';
import { cleanCss, makeScrubber } from './scrubber.js';

/**
 * @typedef {object} Row
 * @property {string} path CSS path; ' >>> ' stands for the border of a shadow root or a frame
 * @property {'value'|'text'|'attribute'|'risk'} kind risk: something that rules do not reach
 * @property {string} name type of the field, tag of the text, name of the attribute
 * @property {boolean} shown viewers see it
 * @property {string} rule that decides: "never: type=password", "mask: .card", "default: form value"
 * @property {string} hint why somebody should look at it; '' for nothing
 */

const field = /^(input|textarea|select)$/;
const caption = /^(submit|button|reset)$/;
const noValue = /^(hidden|checkbox|radio|image|file)$/;
// Attributes that say how a page is built, not what is in it.
const structure = /^(class|id|type|for|form|list|role|tabindex|rel|lang|dir|width|height|charset|name|method|target|autocomplete|slot|part|is|size|rows|cols|colspan|rowspan|span|m(in|ax)(length)?|step|start|data-cb-.*|xmlns.*|aria-(?!label$|desc|valuetext|placeholder|role).*)$/;
const svgSpeaks = /^(data-|aria-|title|(xlink:)?href|style)/;

// What fields hold, by the words around them; English and German.
const subjects = [
	['a card number', /\b(card|credit|karten?)[\s_-]*(no|num|nr|nummer)|cardnumber|kreditkarte|\bpan\b/i],
	['a card\'s check number', /\bcv[cv]2?\b|prüfziffer|security.?code/i],
	['a password or PIN', /passw|kennwort|\bpin\b|\btan\b|passphrase|secret/i],
	['a bank account', /\biban\b|\bbic\b|account.?(no|num)|konto(nummer|nr)?\b|sort.?code|routing.?n/i],
	['a date of birth', /birth|geburt|\bdob\b|\bbday\b/i],
	['a tax or social security number', /\bssn\b|social.?sec|tax.?(id|no|num)|steuer.?(id|nr|nummer)|sozialversicherung/i],
	['a passport or identity card number', /passport|reisepass|ausweis|identity.?(card|no|num)/i],
	['health data', /diagnos|allerg|medica|krankheit|insurance.?(no|num)|versicher(ten|ungs)/i],
];
const token = /(?=[^/\s]*\d)(?=[^/\s]*[a-z])[\w+=.~-]{20,}|eyJ[\w-]{10,}\./i;
const iban = /\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b/;

const own = (node) => node.parentNode?.host ?? node.parentNode;

// The nearest element that matches, across the borders of shadow roots and frames.
function nearest(el, selector) {
	for (let at = el; at; at = parent(at.getRootNode())) {
		const hit = at.closest(selector);
		if (hit) return hit;
	}
	return null;
}

/**
 * The rule that decides about an element's value or text: "never: type=password",
 * "mask: .card", "mask: .card (pages https://.*)" of a page rule, "default: form value".
 * @param {import('./policy.js').Policy} policy
 * @param {Element} el
 * @param {'value'|'text'} [kind]
 * @returns {string}
 */
export function reason(policy, el, kind = 'value') {
	const found = (name) => {
		const rule = policy.rules[name].find((selector) => nearest(el, selector));
		return rule && `${name}: ${rule}`;
	};
	const byPage = () => {
		for (const { urlPattern, mask } of policy.pageRules(el)) {
			const rule = mask.find((selector) => nearest(el, selector));
			if (rule) return `mask: ${rule} (pages ${urlPattern})`;
		}
		return '';
	};
	const forced = found('block') || found('never') || found('mask') || byPage();
	if (forced) return forced;
	if (policy.flags(el) & MASKED) return 'mask: as under the address before, until it is gone';
	if (policy.isBlocked(el)) return 'pause: the address of the frame';
	const why = kind === 'value' && policy.never(el);
	if (why) return 'never: ' + why;
	const shown = found('show');
	if (shown) return shown;
	if (policy.flags(el) & EDITED) return 'default: contenteditable';
	if (kind === 'value' && policy.isMasked(el)) return 'default: form value';
	return `default: text ${policy.textPrivate ? 'private' : 'visible'}`;
}

/** @param {Element} el */
function path(el) {
	const root = el.getRootNode();
	const outer = root.host ?? (root.nodeType === 9 && root !== document ? root.defaultView?.frameElement : null);
	const before = outer ? path(outer) + ' >>> ' : '';
	const steps = [];
	for (let at = el; at?.nodeType === 1; at = at.parentNode) {
		const id = at.getAttribute('id');
		if (id && /^[a-z][\w-]*$/i.test(id) && root.querySelectorAll?.('#' + id).length === 1) {
			steps.unshift('#' + id);
			break;
		}
		const alike = [...at.parentNode?.children ?? []].filter((c) => c.localName === at.localName);
		steps.unshift(CSS.escape(at.localName) + (alike.length > 1 ? `:nth-of-type(${alike.indexOf(at) + 1})` : ''));
	}
	return before + steps.join(' > ');
}

// A number that a card can have: 13 to 19 digits that pass Luhn's check.
function hasCard(text) {
	for (const [match] of text.matchAll(/\d(?:[ -]?\d){12,18}/g)) {
		const digits = match.replace(/\D/g, '');
		let sum = 0;
		for (let i = 0; i < digits.length; i++) {
			const d = Number(digits[digits.length - 1 - i]) * (i % 2 + 1);
			sum += d > 9 ? d - 9 : d;
		}
		if (sum % 10 === 0) return true;
	}
	return false;
}

function suspectText(text) {
	if (hasCard(text)) return 'looks like a card number: mask it';
	return iban.test(text) ? 'looks like a bank account: mask it' : '';
}

function around(el) {
	const labels = [...el.labels ?? []].map((label) => label.textContent);
	return [el.getAttribute('name'), el.id, el.getAttribute('autocomplete'), el.getAttribute('placeholder'), el.getAttribute('aria-label'), ...labels].join(' ').replace(/([a-z])([A-Z])/g, '$1 $2');
}

/**
 * Lists what the policy makes of everything below root, into open shadow roots
 * and frames of the same origin. Rows never hold content of the page but its
 * element names, ids and attribute names.
 * @param {Document|Element} root
 * @param {import('./policy.js').Policy} policy
 * @returns {Row[]}
 */
export function lint(root, policy) {
	/** @type {Row[]} */
	const rows = [];
	let plainText = 0;
	const top = root.nodeType === 9 ? root.documentElement : root;

	// What the scrubber would send of one element's attributes.
	const sent = (el, given) => {
		const node = { type: 2, id: 2, tagName: el.localName, attributes: { ...given }, childNodes: [], isSVG: /svg$/.test(el.namespaceURI) || undefined };
		const scrub = makeScrubber({ mirror: { getNode: (id) => (id === 2 ? el : own(el)) }, policy });
		scrub({ type: 3, data: { source: 0, texts: [], attributes: [], removes: [], adds: [{ parentId: 1, nextId: null, node }] } });
		return node.attributes;
	};

	const value = (el, where) => {
		const rule = reason(policy, el);
		const editable = !field.test(el.localName);
		const type = editable ? 'contenteditable' : el.type;
		if (noValue.test(type)) {
			const shown = /^(checkbox|radio)$/.test(type) && !policy.isTextHidden(el);
			rows.push({ path: where, kind: 'value', name: type, shown, rule: shown ? 'default: whether it is checked' : /^show/.test(rule) ? 'default: value is never sent' : rule, hint: shown ? risk(el, true) : '' });
			return;
		}
		const shown = caption.test(type) ? !policy.isTextHidden(el) : !policy.isMasked(el);
		rows.push({ path: where, kind: 'value', name: type, shown, rule: caption.test(type) ? reason(policy, el, 'text') : rule, hint: shown && !caption.test(type) ? risk(el) : '' });
	};

	const risk = (el, only) => {
		const words = around(el);
		const subject = subjects.find(([, pattern]) => pattern.test(words));
		if (subject) return `looks like ${subject[0]}: mask it`;
		return only ? '' : suspectText(el.value ?? el.textContent ?? '');
	};

	const attributes = (el, where) => {
		const given = {};
		for (const { name, value: v } of el.attributes) given[name] = v;
		const kept = sent(el, given);
		const svg = /svg$/.test(el.namespaceURI);
		for (const name of Object.keys(given)) {
			const before = given[name];
			const after = kept[name];
			if (field.test(el.localName) && name === 'value') continue; // has its own row
			if (before === '' || name === 'type' || (svg && after === before && !svgSpeaks.test(name)) || (structure.test(name) && after === before && !(name === 'id' && token.test(before)))) continue;
			if (name === 'style' && cleanCss(before) === before) continue;
			const row = { path: where, kind: /** @type {const} */ ('attribute'), name, shown: after === before, rule: 'default: attribute as it is', hint: '' };
			const masked = reason(policy, el, /^opt/.test(el.localName) ? 'value' : 'text');
			if (after === undefined) row.rule = /^(mask|never|block)/.test(masked) ? masked : 'default: attribute is never sent';
			else if (/^\u2022+$/.test(after)) row.rule = masked;
			else if (after === '#') row.rule = 'default: only that it is a link';
			else if (after !== before) Object.assign(row, { shown: true, rule: 'default: address without query and fragment' });
			if (row.shown && token.test(String(after))) row.hint = 'looks like a token or an id: move it, or block the element';
			else if (row.shown && suspectText(String(after))) row.hint = suspectText(String(after));
			rows.push(row);
		}
	};

	const text = (el, where) => {
		const words = [...el.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data).join(' ');
		if (!/\S/.test(words) || /^(style|script|noscript|template|textarea)$/.test(el.localName)) return;
		const hidden = /^opt/.test(el.localName) ? policy.isMasked(el) : policy.isTextHidden(el);
		const rule = reason(policy, el, /^opt/.test(el.localName) ? 'value' : 'text');
		const hint = hidden ? '' : suspectText(words);
		if (!hidden && !hint && rule.startsWith('default')) plainText++;
		else rows.push({ path: where, kind: 'text', name: el.localName, shown: !hidden, rule, hint });
	};

	const risky = (el, where, name, hint, shown = false) => rows.push({ path: where, kind: 'risk', name, shown, rule: shown ? reason(policy, el, 'text') : 'not recorded', hint });

	const visit = (el) => {
		if (/^(script|base|noscript|template)$/.test(el.localName)) return;
		const where = path(el);
		if (policy.isBlocked(el)) {
			rows.push({ path: where, kind: 'text', name: el.localName, shown: false, rule: reason(policy, el), hint: '' });
			return;
		}
		attributes(el, where);
		const editing = el.getAttribute('contenteditable');
		if (field.test(el.localName)) value(el, where);
		else if (editing !== null && editing !== 'false') value(el, where);
		else text(el, where);
		if (el.localName === 'canvas' && !policy.isTextHidden(el)) risky(el, where, 'canvas', 'is sent as a picture twice a second: mask it if it draws anything private', true);
		if (el.localName === 'iframe') {
			let inner = null;
			try { inner = el.contentDocument; } catch { /* of another origin */ }
			if (inner?.documentElement) visit(inner.documentElement);
			else risky(el, where, 'iframe', 'is of another origin: viewers see an empty box');
		}
		if (el.shadowRoot) for (const child of el.shadowRoot.children) visit(child);
		else if (el.localName.includes('-') && !el.childNodes.length && customElements.get(el.localName) && el.getBoundingClientRect().height) {
			risky(el, where, 'shadow root', 'may have a closed shadow root: viewers do not see what is in it');
		}
		for (const child of el.children) visit(child);
	};

	visit(top);
	if (plainText) rows.push({ path: path(top), kind: 'text', name: `${plainText} other elements`, shown: true, rule: reason(policy, top, 'text'), hint: '' });
	return rows;
}

const words = {
	en: { path: 'Element', kind: 'Kind', name: 'Name', shown: 'Viewers see it', rule: 'Rule', hint: 'Look at this', yes: 'yes', no: 'no', sum: (n, s, h) => `${n} rows, ${s} shown, ${h} to look at` },
	de: { path: 'Element', kind: 'Art', name: 'Name', shown: 'Sichtbar', rule: 'Regel', hint: 'Bitte prüfen', yes: 'ja', no: 'nein', sum: (n, s, h) => `${n} Zeilen, ${s} sichtbar, ${h} zu prüfen` },
};

/**
 * Shows rows as a table, those to look at first; what the container held is
 * replaced. Classes: cb-lint on the table, shown, hidden and risk on its rows.
 * @param {Row[]} rows
 * @param {Element} container its language, or the page's, decides between English and German
 */
export function renderLint(rows, container) {
	const t = /^de/i.test(container.closest('[lang]')?.getAttribute('lang') ?? '') ? words.de : words.en;
	const make = (tag, text, to, name) => {
		const el = to.appendChild(document.createElement(tag));
		if (text) el.textContent = text;
		if (name) el.className = name;
		return el;
	};
	container.textContent = '';
	const table = make('table', '', container, 'cb-lint');
	make('caption', t.sum(rows.length, rows.filter((r) => r.shown).length, rows.filter((r) => r.hint).length), table);
	const head = make('tr', '', make('thead', '', table));
	const columns = ['path', 'kind', 'name', 'shown', 'rule', 'hint'];
	for (const column of columns) make('th', t[column], head).setAttribute('scope', 'col');
	const body = make('tbody', '', table);
	for (const row of [...rows].sort((a, b) => Number(Boolean(b.hint)) - Number(Boolean(a.hint)))) {
		const line = make('tr', '', body, row.hint ? 'risk' : row.shown ? 'shown' : 'hidden');
		for (const column of columns) make('td', column === 'shown' ? (row.shown ? t.yes : t.no) : row[column], line);
	}
}

globalThis.Cobridge?.__lint?.(lint, renderLint);
