import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

// As much of a page as an action touches. Selectors are those of control.js.

class Form {
	submit() { this.sent = true; }
	requestSubmit() { this.sent = true; }
}
const event = class {
	constructor(type, init) { Object.assign(this, init, { type, defaultPrevented: false }); }
	preventDefault() { this.defaultPrevented = this.cancelable === true; }
	stopImmediatePropagation() {}
};
const listeners = {};
const view = {
	HTMLFormElement: Form, frameElement: null,
	PointerEvent: event, MouseEvent: event, KeyboardEvent: event, InputEvent: event, Event: event,
	addEventListener: (type, fn) => { (listeners[type] ??= new Set()).add(fn); },
	removeEventListener: (type, fn) => listeners[type].delete(fn),
};
const page = { nodeType: 9, isConnected: true, activeElement: null, body: null, baseURI: 'https://shop.example/basket', defaultView: { ...view, scrollTo: (to) => { page.scrolled = to; } } };

const buttonLike = /^(submit|image|button|reset)$/;
class El {
	nodeType = 1;
	isConnected = true;
	children = [];
	heard = [];
	handlers = {};
	id = '';
	maxLength = -1;
	constructor(localName, more = {}, ...children) {
		Object.assign(this, { localName, type: localName === 'input' ? 'text' : localName === 'button' ? 'submit' : undefined }, more);
		for (const child of children) {
			child.parentElement = this;
			this.children.push(child);
		}
	}
	get ownerDocument() { return { ...page, defaultView: view }; }
	get value() { return this.held ?? ''; }
	set value(v) { this.held = v; }
	get selectedIndex() { return this.index ?? 0; }
	set selectedIndex(i) { this.index = i; }
	getRootNode() { return this.root ?? page; }
	getBoundingClientRect() { return { left: 10, top: 20, right: 110, bottom: 40, width: 100, height: 20 }; }
	matches(selector) {
		if (selector === ':disabled') return Boolean(this.disabled);
		if (selector.startsWith('input:not')) return /^(textarea|select|option|label)$/.test(this.localName) || this.role === 'tab' || this.localName === 'input' && !buttonLike.test(this.type);
		return selector.split(',').some((s) => {
			if (s[0] === '.') return this.className === s.slice(1);
			const [all, name, attribute] = /^(\w*)(?:\[(\w+)\])?$/.exec(s) ?? [];
			if (all === undefined) throw new SyntaxError(s);
			return (!name || name === this.localName) && (!attribute || this[attribute] !== undefined);
		});
	}
	addEventListener(type, fn) { this.handlers[type] = fn; }
	dispatchEvent(e) {
		this.heard.push(e.type);
		for (let n = this; n; n = n.parentElement) n[`on${e.type}`]?.(e);
		return !e.defaultPrevented;
	}
	click() { this.dispatchEvent(new event('click', { cancelable: true })); }
	focus() { page.activeElement = this; }
	setSelectionRange(start, end) { Object.assign(this, { selectionStart: start, selectionEnd: end }); }
	scrollTo(to) { this.scrolled = to; }
}

const typed = [];
globalThis.window = /** @type {any} */ (view);
view.addEventListener = (type, fn) => {
	if (type === 'input' || type === 'keydown') typed[0] = fn;
	else (listeners[type] ??= new Set()).add(fn);
};
globalThis.document = /** @type {any} */ (page);
const went = [];
globalThis.location = /** @type {any} */ ({ origin: 'https://shop.example', assign: (url) => went.push(url), reload: () => went.push('reload') });
globalThis.history = /** @type {any} */ ({ back: () => went.push('back'), forward: () => went.push('forward') });
const { cssPath, makeControl } = await import('../control.js');

let nodes;
let rules;
let grants;
let run;
beforeEach(() => {
	nodes = {};
	rules = { allowAgentNavigation: true };
	grants = new Set(['control ada', 'navigate ada']);
	page.activeElement = null;
	went.length = 0;
	run = makeControl({
		epoch: () => 3, getNode: (id) => nodes[id] ?? null, rules: () => rules,
		granted: (kind, who) => grants.has(`${kind} ${who}`),
		policy: () => /** @type {any} */ ({ isPrivate: (el) => Boolean(el.private), isBlocked: (el) => Boolean(el.blocked), isReadonly: (el) => Boolean(el.fixed) }),
	});
});
/** Runs an action on one element. */
const act = (el, k, more = {}) => {
	nodes[7] = el;
	const { ok, why } = run({ t: 'ctl', n: 1, e: 3, from: 'ada', id: 7, k, ...more });
	return ok ? 'ok' : why;
};

test('refusals before anything is touched', () => {
	const field = new El('input');
	assert.equal(act(field, 'text', { from: 'sam', v: 'x' }), 'denied', 'no grant');
	grants.delete('navigate ada');
	assert.equal(act(field, 'back'), 'denied', 'control is not navigation');
	assert.equal(act(field, 'text', { e: 2, v: 'x' }), 'stale');
	assert.equal(act(field, 'text', { id: 99, v: 'x' }), 'gone');
	field.isConnected = false;
	assert.equal(act(field, 'text', { v: 'x' }), 'gone');
	field.isConnected = true;
	assert.equal(act(field, 'text', { v: 'x'.repeat(4097) }), 'error');
	assert.equal(act(field, 'nonsense'), 'error');
	assert.equal(act(new El('input', { private: true }), 'click'), 'masked');
	assert.equal(act(new El('input', { fixed: true }), 'set', { v: 'x' }), 'readonly');
	assert.equal(act(new El('input', { readOnly: true }), 'text', { v: 'x' }), 'readonly');
	assert.equal(act(new El('button', { type: 'button', disabled: true }), 'click'), 'readonly');
	assert.equal(act(new El('input', { type: 'file' }), 'click'), 'unsafe');
	assert.deepEqual([field.value, field.heard], ['', []]);
});

test('a label stands for its field', () => {
	for (const [control, why] of /** @type {[El, string][]} */ ([[new El('input', { private: true }), 'masked'], [new El('input', { type: 'file' }), 'unsafe'], [new El('input', { fixed: true }), 'readonly']])) {
		const text = new El('span');
		new El('label', { control }, text);
		assert.equal(act(text, 'click'), why);
	}
});

test('links: own origin and allowed ones, http alone', () => {
	rules.allowedOrigins = ['https://help.example'];
	for (const [href, want] of Object.entries({
		'https://shop.example/next': 'ok', 'https://help.example/': 'ok', 'https://elsewhere.example/': 'offsite', 'https://shop.example.elsewhere.example/': 'offsite',
		'javascript:alert(1)': 'unsafe', 'data:text/html,x': 'unsafe', 'mailto:kim@shop.example': 'unsafe', 'blob:https://shop.example/1': 'unsafe',
	})) {
		const inner = new El('b');
		const link = new El('a', { href }, inner);
		assert.equal(act(inner, 'click'), want, href);
		assert.equal(act(link, 'key', { key: 'Enter' }), want, `Enter on ${href}`);
		assert.equal(act(new El('a', { href: { baseVal: href } }), 'click'), want, `SVG ${href}`);
		assert.equal(act(link, 'goto', { url: href }), want, `goto ${href}`);
	}
	assert.equal(act(new El('p'), 'goto', { url: '//elsewhere.example/' }), 'offsite');
});

test('a link around a shadow root counts', () => {
	const inner = new El('b', { root: { host: new El('x-card') } });
	new El('a', { href: 'https://elsewhere.example/' }, inner.root.host);
	assert.equal(act(inner, 'click'), 'offsite');
});

test('submit controls are those of a form', () => {
	const form = new Form();
	for (const [el, want] of /** @type {[El, string][]} */ ([
		[new El('button', { form }), 'submit'], [new El('input', { form, type: 'submit' }), 'submit'], [new El('input', { form, type: 'image' }), 'submit'],
		[new El('button', { form, type: 'button' }), 'ok'], [new El('button', { form: null }), 'ok'],
	])) assert.equal(act(el, 'click'), want, `${el.localName} ${el.type}`);
	const icon = new El('i');
	new El('button', { form }, icon);
	assert.equal(act(icon, 'click'), 'submit', 'what is inside of the button');
	rules.allowAgentSubmit = true;
	assert.equal(act(new El('button', { form }), 'click'), 'ok');
});

test('no handler of the page sends a form during an action, and all is restored', () => {
	const { submit, requestSubmit } = Form.prototype;
	const form = new Form();
	for (const way of ['submit', 'requestSubmit']) {
		assert.equal(act(new El('p', { onclick: () => form[way]() }), 'click'), 'submit', way);
	}
	let stopped;
	const byEvent = new El('p', {
		onclick() {
			const e = new event('submit', { cancelable: true });
			for (const fn of listeners.submit) fn(e);
			stopped = e.defaultPrevented;
		},
	});
	assert.equal(act(byEvent, 'click'), 'submit');
	assert.equal(stopped, true);
	assert.equal(act(new El('input', { oninput: () => form.submit() }), 'text', { v: 'x' }), 'submit');
	assert.equal(act(new El('input', { onkeydown: () => form.submit() }), 'key', { key: 'Enter' }), 'submit');
	assert.equal(act(new El('p', { onclick() { throw new Error('the page'); } }), 'click'), 'error');
	assert.equal(form.sent, undefined);
	assert.deepEqual([Form.prototype.submit, Form.prototype.requestSubmit, listeners.submit.size], [submit, requestSubmit, 0]);
	rules.allowAgentSubmit = true;
	act(new El('p', { onclick: () => form.submit() }), 'click');
	assert.equal(form.sent, true);
});

test('a field that sends its form when it has changed', () => {
	const form = new Form();
	const next = new El('input', { tabIndex: 0, getClientRects: () => [{}] });
	const field = new El('input', { tabIndex: 0, getClientRects: () => [{}], onchange: () => form.submit(), root: { querySelectorAll: () => [field, next] } });
	next.focus = () => {
		page.activeElement = next;
		field.handlers.blur?.();
	};
	assert.equal(act(field, 'text', { v: 'x' }), 'ok');
	assert.equal(act(field, 'key', { key: 'Tab' }), 'submit');
	assert.equal(act(field, 'text', { v: 'y' }), 'ok');
	next.focus(); // by the customer
	assert.deepEqual(field.heard.filter((type) => type === 'change'), ['change', 'change']);
	assert.equal(form.sent, undefined);
	const { submit } = Form.prototype;
	class Outer extends Form {}
	const inner = { ...view, HTMLFormElement: Outer };
	const framed = new El('p', { onclick: () => form.submit() });
	Object.defineProperty(framed, 'ownerDocument', { value: { ...page, defaultView: inner } });
	assert.equal(act(framed, 'click'), 'submit', 'by a script of the frame in the page');
	assert.equal(Form.prototype.submit, submit);
});

test('a click has all its events, in order', () => {
	const el = new El('button', { type: 'button' });
	assert.equal(act(el, 'click'), 'ok');
	assert.deepEqual(el.heard, ['pointerdown', 'mousedown', 'pointerup', 'mouseup', 'click']);
	assert.equal(page.activeElement, el);
	el.heard.length = 0;
	act(el, 'dbl');
	assert.deepEqual(el.heard.filter((type) => /click/.test(type)), ['click', 'dblclick']);
});

test('text goes in at the caret, past what a framework put in front of the value', () => {
	const el = new El('input', { held: 'Kim', selectionStart: 1, selectionEnd: 2 });
	Object.defineProperty(el, 'value', { get() { return this.held; }, set() { throw new Error('the framework'); } });
	assert.equal(act(el, 'text', { v: 'xyz' }), 'ok');
	assert.deepEqual([el.held, el.selectionStart, el.heard], ['Kxyzm', 4, ['beforeinput', 'input']]);
	assert.equal(act(el, 'key', { key: 'Backspace' }), 'ok');
	assert.equal(act(el, 'key', { key: 'Delete' }), 'ok');
	assert.equal(el.held, 'Kxy');
	el.handlers.blur();
	assert.deepEqual(el.heard.slice(-1), ['change']);
	const before = el.heard.length;
	el.handlers.blur();
	assert.equal(el.heard.length, before, 'change is said once');
});

test('lengths, missing carets and refused input', () => {
	const short = new El('input', { held: 'abc', maxLength: 5 });
	act(short, 'text', { v: 'defgh' });
	assert.equal(short.value, 'abcde');
	const number = new El('input', { type: 'number', held: '1', selectionStart: null, selectionEnd: null });
	act(number, 'text', { v: '2' });
	assert.equal(number.value, '12');
	const guarded = new El('input', { onbeforeinput: (e) => e.preventDefault() });
	assert.equal(act(guarded, 'text', { v: 'x' }), 'denied');
	assert.equal(guarded.value, '');
	assert.equal(act(new El('p'), 'text', { v: 'x' }), 'error');
	const area = new El('textarea', { held: 'a' });
	act(area, 'key', { key: 'Enter' });
	assert.equal(area.value, 'a\n');
});

test('set: fields, choices and switches', () => {
	const options = [{ label: 'One', value: '1' }, { label: '1', value: 'x' }, { label: 'Off', value: 'o', disabled: true }];
	const select = new El('select', { options });
	for (const [v, want, index] of /** @type {[string, string, number][]} */ ([['#1', 'ok', 1], ['One', 'ok', 0], ['x', 'ok', 1], ['1', 'ok', 0], ['#9', 'error', 0], ['none', 'error', 0], ['Off', 'error', 0]])) {
		select.heard.length = 0;
		assert.equal(act(select, 'set', { v }), want, v);
		assert.equal(select.selectedIndex, index, v);
		assert.deepEqual(select.heard, want === 'ok' ? ['input', 'change'] : [], v);
	}
	const box = new El('input', { type: 'checkbox', checked: true });
	act(box, 'set', { v: 'true' });
	assert.deepEqual(box.heard, []);
	act(box, 'set', { v: 'false' });
	assert.ok(box.heard.includes('click'));
	const date = new El('input', { type: 'date', held: '2026-01-01' });
	assert.equal(act(date, 'set', { v: '2026-02-03' }), 'ok');
	assert.equal(date.value, '2026-02-03');
	assert.equal(act(new El('input', { type: 'button' }), 'set', { v: 'x' }), 'error');
});

test('lists that stand open: options are clicked on', () => {
	const made = (more) => {
		const options = ['a', 'b', 'c'].map((label, index) => new El('option', { label, index, held: label }));
		for (const o of options) Object.defineProperty(Object.getPrototypeOf(o), 'selected', { configurable: true, get() { return Boolean(this.on); }, set(on) { this.on = on; } });
		options[2].disabled = true;
		return { options, list: new El('select', { options, ...more }, ...options) };
	};
	const many = made({ multiple: true });
	assert.equal(act(many.options[0], 'click'), 'ok');
	assert.equal(act(many.options[1], 'click'), 'ok');
	assert.equal(act(many.options[0], 'click'), 'ok');
	assert.deepEqual(many.options.map((o) => Boolean(o.on)), [false, true, false]);
	assert.deepEqual(many.list.heard.filter((type) => /input|change/.test(type)), ['input', 'change', 'input', 'change', 'input', 'change']);
	assert.equal(act(many.options[2], 'click'), 'readonly');
	const one = made({ size: 3 });
	assert.equal(act(one.options[1], 'click'), 'ok');
	assert.equal(one.list.selectedIndex, 1);
	const closed = made({ size: 0 });
	assert.equal(act(closed.options[1], 'click'), 'ok');
	assert.deepEqual(closed.list.heard.filter((type) => /input|change/.test(type)), [], 'one that is closed has a chooser');
});

test('the customer who types comes first', () => {
	mock.timers.enable({ apis: ['Date'], now: 1000 });
	const el = new El('input');
	const other = new El('input');
	page.activeElement = el;
	typed[0]({ isTrusted: false, composedPath: () => [el] });
	assert.equal(act(el, 'text', { v: 'a' }), 'ok', 'our own events are not the customer');
	mock.timers.tick(10_000);
	typed[0]({ isTrusted: true, composedPath: () => [el] });
	for (const [k, more] of Object.entries({ text: { v: 'x' }, set: { v: 'x' }, key: { key: 'Backspace' } })) assert.equal(act(el, k, more), 'busy', k);
	assert.equal(act(other, 'text', { v: 'x' }), 'ok', 'another field');
	assert.equal(page.activeElement, el, 'and the focus stays');
	assert.deepEqual(other.heard, ['beforeinput', 'input', 'change']);
	mock.timers.tick(1500);
	assert.equal(act(el, 'text', { v: 'b' }), 'ok');
	mock.timers.reset();
});

test('text that can be edited anywhere: what the viewer does to it is not the customer typing', () => {
	const el = new El('div', { isContentEditable: true, contains: (node) => node === inside });
	const inside = {};
	const done = [];
	const selection = { anchorNode: null, modify: (...how) => done.push(how.join(' ')), collapseToEnd() {}, selectAllChildren(at) { done.push(`into ${at.localName}`); this.anchorNode = inside; } };
	page.getSelection = () => selection;
	page.execCommand = (...how) => {
		done.push(how.filter(Boolean).join(' '));
		typed[0]({ isTrusted: true, composedPath: () => [el] }); // as browsers do
	};
	page.activeElement = el;
	for (const v of ['G', 'o']) assert.equal(act(el, 'text', { v }), 'ok', v);
	for (const key of ['Enter', 'Backspace', 'Delete', 'ArrowLeft', 'End', 'Escape']) assert.equal(act(el, 'key', { key }), 'ok', key);
	assert.deepEqual(done, ['into div', 'insertText G', 'insertText o', 'insertParagraph', 'delete', 'forwardDelete', 'move left character', 'move forward lineboundary']);
	typed[0]({ isTrusted: true, composedPath: () => [el] });
	assert.equal(act(el, 'text', { v: 'x' }), 'busy', 'the customer is');
});

test('fields only', () => {
	rules.controlMode = 'fieldsOnly';
	rules.controlSelectors = ['.more', '][', '.b'];
	for (const [el, want] of /** @type {[El, string][]} */ ([
		[new El('input'), 'ok'], [new El('label', { control: null }), 'ok'], [new El('p', { role: 'tab' }), 'ok'], [new El('p', { className: 'more' }), 'ok'],
		[new El('p'), 'denied'], [new El('a', { href: 'https://shop.example/' }), 'denied'], [new El('button', { type: 'button' }), 'denied'], [new El('input', { type: 'button' }), 'denied'],
	])) assert.equal(act(el, 'click'), want, `${el.localName} ${el.type ?? ''}`);
	assert.equal(act(new El('div'), 'scroll', { x: 0, y: 5 }), 'ok', 'looking around is no control of a field');
	assert.equal(act(new El('p'), 'key', { key: 'Tab' }), 'denied');
});

test('keys of the list alone', () => {
	const el = new El('input', { held: 'ab', selectionStart: 1, selectionEnd: 1 });
	for (const key of ['a', 'F5', 'Meta', '', undefined]) assert.equal(act(el, 'key', { key }), 'denied', key);
	for (const [key, at] of Object.entries({ ArrowLeft: 0, ArrowRight: 1, End: 2, Home: 0 })) {
		assert.equal(act(el, 'key', { key }), 'ok');
		assert.equal(el.selectionStart, at, key);
	}
	assert.deepEqual(el.heard.slice(0, 2), ['keydown', 'keyup']);
	const modal = new El('input', { held: 'x', onkeydown: (e) => e.preventDefault() });
	act(modal, 'key', { key: 'Backspace' });
	assert.equal(modal.value, 'x', 'the page has taken the key');
});

test('scroll: the window by its document, boxes by themselves, blocked ones not', () => {
	assert.equal(act(page, 'scroll', { x: 1, y: 2 }), 'ok');
	assert.deepEqual(page.scrolled, { left: 1, top: 2, behavior: 'instant' });
	const box = new El('div', { private: true });
	assert.equal(act(box, 'scroll', { x: 3, y: 4 }), 'ok');
	assert.equal(box.scrolled.top, 4);
	assert.equal(act(new El('div', { blocked: true }), 'scroll', { x: 0, y: 0 }), 'masked');
	assert.equal(act(page, 'click'), 'gone');
});

test('navigation waits for its answer to be sent', () => {
	for (const [k, want] of Object.entries({ back: 'back', forward: 'forward', reload: 'reload', goto: 'https://shop.example/help?x=1' })) {
		const answer = run({ n: 1, e: 3, from: 'ada', k, url: '/help?x=1' });
		assert.deepEqual([answer.ok, went.length], [true, 0]);
		answer.then();
		assert.deepEqual(went.splice(0), [want]);
	}
	rules.allowAgentNavigation = false;
	assert.equal(act(new El('p'), 'back'), 'denied');
});

test('the path names elements, never text or numbers of people', () => {
	const field = new El('input', { value: 'secret' });
	const rows = [new El('li'), new El('li', {}, new El('p'), field)];
	const list = new El('ul', {}, ...rows);
	new El('body', {}, list);
	assert.equal(cssPath(field), 'body>ul>li:nth-of-type(2)>input');
	list.id = 'basket';
	assert.equal(cssPath(field), '#basket>li:nth-of-type(2)>input');
	list.id = 'customer-48211';
	assert.equal(cssPath(field), 'body>ul>li:nth-of-type(2)>input');
	const inner = new El('button', { root: { host: rows[0] } });
	assert.equal(cssPath(inner), 'body>ul>li:nth-of-type(1)>>>button');
	let deep = new El('i');
	const deepest = deep;
	for (let i = 0; i < 200; i += 1) deep = new El('x-long-element-name', {}, deep);
	assert.ok(cssPath(deepest).length <= 300);
});
