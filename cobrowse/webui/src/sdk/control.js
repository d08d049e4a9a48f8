// What a viewer with a grant may do in this page, and everything that is refused
// (docs/protocol.md lists the reasons). All events are synthetic: isTrusted is
// false, native pickers and pop-ups stay closed.

import { focused, listen } from './quiet.js';

const busyFor = 1500; // ms after the customer's own typing
const mostText = 4096; // characters
const submits = /^(submit|image)$/;
const noText = /^(checkbox|radio|range|color|file|submit|image|button|reset|hidden)$/;
const keys = /^(Tab|Escape|Enter|Backspace|Delete|Home|End|Arrow(Up|Down|Left|Right))$/;
const editing = {
	Enter: 'insertParagraph', Backspace: 'delete', Delete: 'forwardDelete', Home: ['backward', 'lineboundary'], End: ['forward', 'lineboundary'],
	ArrowLeft: ['left', 'character'], ArrowRight: ['right', 'character'], ArrowUp: ['backward', 'line'], ArrowDown: ['forward', 'line'],
};
const focusable = 'a[href],button,input,select,textarea,summary,[tabindex],[contenteditable]';
const fields = 'input:not([type=submit],[type=image],[type=button],[type=reset]),textarea,select,option,label,[role=tab]';

/** Ends an action. Caught in act, the reason becomes the answer. */
const refuse = (why) => {
	throw { why };
};

/** The next element on the way that events take: out of slots and shadow roots. */
const above = (el) => el.assignedSlot || el.parentElement || el.getRootNode?.().host;

/** Like closest, across shadow roots. */
const closest = (el, selector) => {
	for (; el; el = above(el)) if (el.matches?.(selector)) return el;
	return null;
};

/**
 * @param {Element} el
 * @returns {string} CSS path, >>> at the edge of a shadow root or frame; at most 300 characters, never text
 */
export const cssPath = (el) => {
	let path = '';
	for (let n = el, join = ''; n && path.length < 250;) {
		let step = n.localName;
		// An id with a long number may be somebody's.
		const id = /^[a-z][\w-]{0,40}$/i.test(n.id) && !/\d{4}/.test(n.id);
		if (id) {
			step = `#${n.id}`;
		} else {
			const same = [...n.parentElement?.children ?? []].filter((c) => c.localName === n.localName);
			if (same.length > 1) step += `:nth-of-type(${same.indexOf(n) + 1})`;
		}
		path = step + join + path;
		join = '>';
		let next = id ? null : n.parentElement;
		if (!next) {
			join = '>>>';
			next = n.getRootNode?.().host || n.ownerDocument?.defaultView?.frameElement;
		}
		n = next;
	}
	return path.slice(0, 300);
};

/**
 * @typedef {object} Answer of one action
 * @property {boolean} ok
 * @property {string} [why] it was refused
 * @property {string} path of the element
 * @property {() => void} [then] leaves the page; to be called when the answer is on its way
 */

/**
 * @param {object} page
 * @param {() => number} page.epoch
 * @param {(id: number) => any} page.getNode
 * @param {() => import('./policy.js').Policy} page.policy
 * @param {() => any} page.rules docs/protocol.md
 * @param {(kind: string, participant: string) => boolean} page.granted
 * @returns {(frame: any) => Answer} what runs a ctl frame; it does not throw
 */
export function makeControl({ epoch, getNode, policy, rules, granted }) {
	let typedIn = null;
	let typedAt = 0;
	let acting = false;
	const changing = new WeakSet();
	listen(window, 'input keydown', (event) => {
		// The browser's own editing, done for a viewer, is trusted as well.
		if (!event.isTrusted || acting) return;
		typedIn = event.composedPath()[0];
		typedAt = Date.now();
	});
	const typing = () => Date.now() - typedAt < busyFor;

	/** The address if the viewer may go there. */
	const allowed = (href) => {
		const url = new URL(href, document.baseURI);
		if (!/^https?:$/.test(url.protocol)) refuse('unsafe');
		if (url.origin !== location.origin && !(rules().allowedOrigins ?? []).includes(url.origin)) refuse('offsite');
		return url.href;
	};

	/** Runs what may set off the page's handlers; no form is sent meanwhile, also not that of the page by a frame in it. */
	let guards = 0;
	const guarded = (view, act) => {
		const run = view === window ? act : () => guarded(window, act);
		if (rules().allowAgentSubmit) {
			run();
			return;
		}
		let tried = false;
		guards += 1;
		const form = view.HTMLFormElement.prototype;
		const { submit, requestSubmit } = form;
		const stop = (event) => {
			tried = true;
			event?.preventDefault();
			event?.stopImmediatePropagation();
		};
		form.submit = form.requestSubmit = () => stop();
		view.addEventListener('submit', stop, true);
		try {
			run();
		} finally {
			guards -= 1;
			form.submit = submit;
			form.requestSubmit = requestSubmit;
			view.removeEventListener('submit', stop, true);
		}
		if (tried) refuse('submit');
	};

	/** Refuses what may not be touched: the element, and the field that its label stands for. */
	const check = (el, k) => {
		const p = policy();
		for (const e of [el, closest(el, 'label')?.control]) {
			if (!e) continue;
			if (k === 'scroll' ? p.isBlocked(e) : p.isPrivate(e)) refuse('masked');
			if (k === 'scroll') continue;
			if (p.isReadonly(e) || closest(e, ':disabled') || k !== 'click' && k !== 'dbl' && e.readOnly) refuse('readonly');
			if (e.type === 'file') refuse('unsafe');
		}
		if (k !== 'scroll' && rules().controlMode === 'fieldsOnly') {
			const more = rules().controlSelectors ?? [];
			if (![fields, ...more].some((selector) => {
				try { return closest(el, selector); } catch { return false; }
			})) refuse('denied');
		}
	};

	const click = (el, f) => {
		const view = el.ownerDocument.defaultView;
		const link = closest(el, 'a,area');
		const href = link?.href?.baseVal ?? link?.href;
		if (href) allowed(href);
		const button = closest(el, 'button,input');
		if (button?.form && submits.test(button.type) && !rules().allowAgentSubmit) refuse('submit');
		const box = el.getBoundingClientRect();
		const inside = view === window && f.x >= box.left && f.x <= box.right && f.y >= box.top && f.y <= box.bottom;
		const clientX = inside ? f.x : box.left + box.width / 2;
		const clientY = inside ? f.y : box.top + box.height / 2;
		const fire = (kind, name) => el.dispatchEvent(new view[kind](name, { bubbles: true, cancelable: true, composed: true, view, clientX, clientY, detail: 1 }));
		guarded(view, () => {
			fire('PointerEvent', 'pointerdown');
			// The customer's own typing keeps its focus.
			if (fire('MouseEvent', 'mousedown') && !typing()) closest(el, focusable)?.focus({ preventScroll: true });
			fire('PointerEvent', 'pointerup');
			fire('MouseEvent', 'mouseup');
			const option = closest(el, 'option');
			const list = option && closest(option, 'select');
			// A list that stands open; one that is closed is chosen from beside it.
			if (list?.multiple || list?.size > 1) mark(list, option);
			if (el.click) el.click();
			else fire('MouseEvent', 'click');
			// The second click of two: the first came as a frame of its own.
			if (f.k === 'dbl') fire('MouseEvent', 'dblclick');
		});
	};

	/** Frameworks replace the element's own setter and would not notice: the prototype's is called. */
	const assign = (el, name, value) => {
		let owner = el;
		let found;
		do {
			owner = Object.getPrototypeOf(owner);
			found = Object.getOwnPropertyDescriptor(owner, name);
		} while (!found);
		found.set.call(el, value);
	};

	const focus = (el) => {
		if (!typing() && focused() !== el) el.focus?.({ preventScroll: true });
	};

	const write = (el, value, caret, inputType, data = null) => {
		const view = el.ownerDocument.defaultView;
		const tell = (name) => el.dispatchEvent(new view.InputEvent(name, { bubbles: true, composed: true, cancelable: name[0] === 'b', inputType, data }));
		const changed = () => {
			if (changing.delete(el)) el.dispatchEvent(new view.Event('change', { bubbles: true }));
		};
		// The customer who leaves the field does not send what the viewer has written.
		const left = () => {
			if (guards) changed();
			else try { guarded(view, changed); } catch { /* nobody waits for an answer */ }
		};
		guarded(view, () => {
			focus(el);
			if (!tell('beforeinput')) refuse('denied');
			assign(el, 'value', value);
			try { el.setSelectionRange(caret, caret); } catch { /* this type has no caret */ }
			tell('input');
			if (focused() === el) {
				if (!changing.has(el)) el.addEventListener('blur', left, { once: true });
				changing.add(el);
			} else {
				changing.add(el);
				changed();
			}
		});
	};

	const isText = (el) => el.localName === 'textarea' || el.localName === 'input' && !noText.test(el.type);

	/** Puts text in place of what is selected, or of as many characters before (-1) or after (1) the caret. */
	const insert = (el, text, beside = 0) => {
		const old = el.value;
		let start = el.selectionStart ?? old.length;
		let end = el.selectionEnd ?? old.length;
		if (start === end && beside < 0) start = Math.max(0, start - 1);
		if (start === end && beside > 0) end += 1;
		const room = el.maxLength >= 0 ? Math.max(0, el.maxLength - old.length + end - start) : text.length;
		const put = text.slice(0, room);
		const kind = beside < 0 ? 'deleteContentBackward' : beside > 0 ? 'deleteContentForward' : 'insertText';
		write(el, old.slice(0, start) + put + old.slice(end), start + put.length, kind, beside ? null : put);
	};

	/** Runs a command of the browser's editor at the caret, or moves that. */
	const edit = (el, command, value) => {
		const doc = el.ownerDocument;
		const selection = doc.getSelection();
		focus(el);
		if (!el.contains(selection.anchorNode)) {
			selection.selectAllChildren(el);
			selection.collapseToEnd();
		}
		if (Array.isArray(command)) selection.modify('move', ...command);
		else doc.execCommand(command, false, value);
	};

	const type = (el, text) => {
		if (isText(el)) {
			insert(el, text);
		} else if (el.isContentEditable) {
			guarded(el.ownerDocument.defaultView, () => edit(el, 'insertText', text));
		} else {
			refuse('error');
		}
	};

	/** The viewer sees labels, not values: #3 is the fourth option, else its label or value. */
	const choose = (el, v) => {
		const options = [...el.options];
		const index = /^#\d+$/.test(v) ? Number(v.slice(1)) : options.findIndex((o) => o.label === v || o.value === v);
		if (!options[index] || options[index].disabled) refuse('error');
		pick(el, index);
	};

	const chosen = (el) => {
		for (const name of ['input', 'change']) el.dispatchEvent(new el.ownerDocument.defaultView.Event(name, { bubbles: true }));
	};
	const pick = (el, index) => {
		guarded(el.ownerDocument.defaultView, () => {
			focus(el);
			assign(el, 'selectedIndex', index);
			chosen(el);
		});
	};
	/** Selects an option; where there can be several, it takes it back as well. */
	const mark = (list, option) => {
		if (list.multiple) assign(option, 'selected', !option.selected);
		else assign(list, 'selectedIndex', option.index);
		chosen(list);
	};

	const set = (el, v, f) => {
		if (el.localName === 'select') {
			choose(el, v);
		} else if (/^(checkbox|radio)$/.test(el.type)) {
			if (el.checked !== (v === 'true')) click(el, f);
		} else if (el.localName === 'textarea' || el.localName === 'input' && (isText(el) || /^(range|color)$/.test(el.type))) {
			const value = el.maxLength >= 0 ? v.slice(0, el.maxLength) : v;
			write(el, value, value.length, 'insertReplacementText', value);
		} else {
			refuse('error');
		}
	};

	/** What the browser does for a key that somebody really pressed. */
	const press = (el, key, f) => {
		const text = isText(el);
		const caret = (at) => el.setSelectionRange(at, at);
		if (key === 'Tab') {
			const root = el.getRootNode();
			const all = [...root.querySelectorAll(focusable)].filter((e) => e.tabIndex >= 0 && !e.disabled && e.getClientRects().length);
			if (!typing()) all[(all.indexOf(el) + 1) % all.length]?.focus();
		} else if (text && (key === 'Backspace' || key === 'Delete')) {
			insert(el, '', key === 'Delete' ? 1 : -1);
		} else if (text && key === 'Home') {
			caret(0);
		} else if (text && key === 'End') {
			caret(el.value.length);
		} else if (text && key === 'ArrowLeft') {
			caret(Math.max(0, el.selectionStart - 1));
		} else if (text && key === 'ArrowRight') {
			caret(el.selectionEnd + 1);
		} else if (el.isContentEditable && editing[key]) {
			edit(el, editing[key]);
		} else if (el.localName === 'select' && /Up|Down/.test(key)) {
			const index = el.selectedIndex + (key === 'ArrowUp' ? -1 : 1);
			if (el.options[index]) pick(el, index);
		} else if (key === 'Enter') {
			if (el.localName === 'textarea') insert(el, '\n');
			else if (el.matches('a[href],button,summary')) click(el, f);
			else if (text && el.form && rules().allowAgentSubmit) el.form.requestSubmit();
		}
	};

	const key = (el, f) => {
		if (!keys.test(f.key)) refuse('denied');
		const view = el.ownerDocument.defaultView;
		const fire = (name) => el.dispatchEvent(new view.KeyboardEvent(name, { key: f.key, code: f.key, bubbles: true, cancelable: true, composed: true }));
		let goOn = false;
		guarded(view, () => { goOn = fire('keydown'); });
		if (goOn && el.isConnected) guarded(view, () => press(el, f.key, f));
		guarded(view, () => fire('keyup'));
	};

	const scroll = (el, f) => {
		const target = el.nodeType === 9 ? el.defaultView : el;
		target.scrollTo({ left: f.x, top: f.y, behavior: 'instant' });
	};

	const navigate = (f) => {
		if (!rules().allowAgentNavigation) refuse('denied');
		const url = f.k === 'goto' && allowed(f.url);
		return () => (url ? location.assign(url) : f.k === 'reload' ? location.reload() : history[f.k]());
	};

	return (f) => {
		let path = '';
		acting = true;
		try {
			const away = /^(back|forward|reload|goto)$/.test(f.k);
			if (!granted(away ? 'navigate' : 'control', f.from)) refuse('denied');
			if (f.e !== epoch()) refuse('stale');
			if (away) return { ok: true, path, then: navigate(f) };
			let el = f.id ? getNode(f.id) : focused();
			if (!el?.isConnected) refuse('gone');
			if (el.nodeType === 9 && f.k === 'key') el = el.activeElement || el.body;
			if (el.nodeType === 3) el = el.parentElement;
			if (el.nodeType === 1) {
				path = cssPath(el);
				check(el, f.k);
			} else if (f.k !== 'scroll') {
				refuse('gone');
			}
			const v = f.v ?? '';
			if (/^(text|set|key)$/.test(f.k) && typedIn === el && typing()) refuse('busy');
			if (v.length > mostText) refuse('error');
			switch (f.k) {
				case 'click': case 'dbl': click(el, f); break;
				case 'text': type(el, v); break;
				case 'set': set(el, v, f); break;
				case 'key': key(el, f); break;
				case 'scroll': scroll(el, f); break;
				default: refuse('error');
			}
			return { ok: true, path };
		} catch (refusal) {
			return { ok: false, why: typeof refusal?.why === 'string' ? refusal.why : 'error', path };
		} finally {
			acting = false;
		}
	};
}

// It is loaded when a viewer asks for control, see main.js.
globalThis.Cobridge?.__control?.(makeControl);
