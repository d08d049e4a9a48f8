// What the customer sees of us: start button, consent, number, panel, questions
// and the frame while somebody is in control. One host element with a closed
// shadow root, styled through CSSOM alone, so that a strict policy of the page
// has nothing to refuse. It knows no session: main says what to show.

import { focused, listen, quiet } from './quiet.js';

const css = `
*{box-sizing:border-box;margin:0;padding:0}
.w{color-scheme:light dark;font:15px/1.45 system-ui,sans-serif;text-align:start;overflow-wrap:anywhere}
.layer,.frame{position:fixed;inset:0;pointer-events:none;overflow:hidden}
.frame{border:4px solid #d92d20}
.panel,dialog,.start{position:fixed;background:Canvas;color:CanvasText;border:1px solid #7f8b9c;border-radius:14px;box-shadow:0 4px 24px #0005}
.panel,dialog{width:21rem;max-width:calc(100vw - 24px);max-height:calc(100vh - 24px);overflow:auto;padding:12px 14px}
.panel{border-inline-start:6px solid #3b7ddd}
.panel.small{width:auto}
.panel.good{border-color:#1f9d57}
.panel.warn{border-color:#d98300}
.panel.bad{border-color:#d92d20}
header,.row{display:flex;flex-wrap:wrap;gap:8px;align-items:center}
header{flex-wrap:nowrap}
h2{flex:1;font-size:1em;outline:0}
p,ul,.row{margin-top:8px}
.q,li{opacity:.85}
ul{padding-inline-start:1.2em}
.number{font:700 2rem monospace;white-space:nowrap;user-select:all}
button{font:inherit;font-weight:600;min-height:38px;padding:4px 14px;border-radius:10px;border:1px solid #7f8b9c;background:Canvas;color:CanvasText;cursor:pointer}
button:focus-visible{outline:3px solid #3b7ddd;outline-offset:2px}
button:disabled{opacity:.5}
.yes,.start{background:CanvasText;color:Canvas}
.stop{border:2px solid #d92d20}
.icon{width:38px;padding:0}
.start{border-radius:99px;padding:8px 20px}
dialog{margin:auto;width:30rem;padding:20px}
dialog h2{font-size:1.2em}
dialog .row{margin-top:16px}
dialog button{flex:1 1 9em}
dialog::backdrop{background:#0008}
svg{width:100%;height:100%;fill:none;stroke:#c2185b;stroke-width:4;stroke-linejoin:round}
.at{position:absolute;left:0;top:0}
.pointer::before{content:"";display:block;width:18px;height:22px;background:#c2185b;clip-path:polygon(0 0,100% 62%,52% 66%,28% 100%)}
.name{margin:-4px 14px;background:#c2185b;color:#fff;font-size:12px;padding:1px 8px;border-radius:8px;white-space:nowrap}
.mark{width:36px;height:36px;margin:-18px;border:3px solid #c2185b;border-radius:50%}
.lock{width:14px;height:10px;border-radius:2px;background:#566274}
.lock::before{content:"";display:block;width:4px;height:5px;margin:-6px 3px;border:2px solid #566274;border-bottom:0;border-radius:5px 5px 0 0}
.unseen{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
@media(prefers-reduced-motion:no-preference){.pointer{transition:transform 60ms linear}}
`;

const calm = 600; // ms that a question is there before it can be agreed to

/** Of the corners, bottom right first, then clockwise. */
const insets = ['auto 12px 12px auto', 'auto auto 12px 12px', '12px auto auto 12px', '12px 12px auto auto'];

/** @typedef {[key: string, act: () => void, className?: string]} Button key of its text, also its name */

/**
 * @typedef {object} View
 * @property {boolean} [start] the start button
 * @property {boolean} [frame] the red frame: somebody is in control
 * @property {{tone?: string, head: string, text?: string, number?: string, people?: string[], buttons: Button[]}|null} [panel]
 * @property {{head: string, text: string, more?: string[], no: Button, yes: Button}|null} [dialog]
 */

/**
 * @param {object} parts
 * @param {(key: string) => string} parts.text
 * @param {number} parts.corner 0 bottom right, then clockwise
 * @param {boolean} parts.small
 * @param {() => void} parts.onStart
 * @param {(corner: number, small: boolean) => void} parts.onMove
 */
export function makeWidget({ text, corner, small, onStart, onMove }) {
	/** @type {<T extends string>(name: T, props?: object, ...children: (Node|string)[]) => any} */
	const h = (name, props, ...children) => {
		const el = Object.assign(document.createElement(name), props);
		el.append(...children);
		return el;
	};
	const host = h('div', { className: 'rr-block', lang: text('lang'), popover: 'manual' });
	host.setAttribute('data-cb-block', '');
	const fixed = { all: 'initial', display: 'block', position: 'fixed', top: 0, left: 0, width: 0, height: 0, 'z-index': 2147483647 };
	for (const name in fixed) host.style.setProperty(name, fixed[name], 'important');
	const root = host.attachShadow({ mode: 'closed' });
	const sheet = new CSSStyleSheet();
	sheet.replaceSync(css);
	root.adoptedStyleSheets = [sheet];
	// The page's own shortcuts are not for our buttons.
	for (const type of ['keydown', 'keyup', 'keypress', 'click', 'pointerdown', 'mousedown']) root.addEventListener(type, (event) => event.stopPropagation());

	const button = ([key, act, className], content = text(key)) => {
		const el = h('button', { type: 'button', className: className || '', onclick: quiet((event) => event.isTrusted && act()) }, content);
		el.dataset.key = key;
		return el;
	};
	const icon = (key, act, glyph) => Object.assign(button([key, act, 'icon'], glyph), { ariaLabel: text(key), title: text(key) });

	const layer = h('div', { className: 'layer', ariaHidden: 'true' });
	const frame = h('div', { className: 'frame' });
	const start = button(['start', onStart, 'start']);
	const panel = h('section', { className: 'panel', ariaLabel: text('panel') });
	const dialog = h('dialog');
	const spoken = h('p', { className: 'unseen', role: 'status' });
	root.append(h('div', { className: 'w' }, layer, frame, start, panel, dialog, spoken));

	/** @type {View} */
	let view = {};
	let shown = ''; // what the panel was made of
	let asked = ''; // what the dialog was made of
	let before = null; // what had the focus before the dialog

	const place = () => {
		start.style.inset = panel.style.inset = insets[corner];
		panel.className = `panel ${small && !view.frame ? 'small' : ''} ${view.panel?.tone || ''}`;
	};
	const change = (to, collapsed) => {
		corner = to;
		small = collapsed;
		onMove(corner, small);
		shown = '';
		show(view);
	};
	/** The panel goes out of the way of the field in which the customer is. */
	const dodge = () => {
		const el = focused();
		if (!el || el === host || !el.getBoundingClientRect || panel.hidden) return;
		const a = el.getBoundingClientRect();
		// Something as large as the page cannot be dodged.
		if (a.height > innerHeight / 2) return;
		for (let tries = 4; tries; tries -= 1) {
			const b = panel.getBoundingClientRect();
			if (a.right < b.left || a.left > b.right || a.bottom < b.top || a.top > b.bottom) return;
			corner = (corner + 1) % 4;
			place();
		}
	};
	listen(window, 'focusin', () => requestAnimationFrame(quiet(dodge)));

	const buttons = (list) => h('div', { className: 'row' }, ...list.map((b) => button(b)));

	const showPanel = (p) => {
		panel.hidden = !p;
		place();
		// Who is in control is not to be overlooked.
		const less = small && !view.frame;
		const made = p ? JSON.stringify([p, less]) : '';
		if (made === shown) return;
		shown = made;
		const key = root.activeElement?.dataset?.key;
		const had = panel.contains(root.activeElement);
		panel.replaceChildren();
		if (!p) return;
		const head = h('h2', { tabIndex: -1 }, p.head);
		panel.append(h('header', {}, head,
			icon('move', () => change((corner + 1) % 4, small), '\u21c5'),
			icon(less ? 'larger' : 'smaller', () => change(corner, !small), less ? '+' : '\u2013')));
		if (!less) {
			if (p.text) panel.append(h('p', { className: 'q' }, p.text));
			if (p.number) {
				const grouped = p.number.replace(/\d{3}(?=\d)/g, '$& ');
				panel.append(h('p', { className: 'number', role: 'img', ariaLabel: [...p.number].join(' ') }, grouped), buttons([['copy', async () => {
					await navigator.clipboard.writeText(p.number);
					const copy = panel.querySelector('[data-key=copy]');
					copy.textContent = spoken.textContent = text('copied');
				}]]));
			}
			if (p.people?.length) panel.append(h('ul', {}, ...p.people.map((name) => h('li', {}, name))));
		}
		// The way out stays at hand.
		panel.append(buttons(less ? p.buttons.slice(-1) : p.buttons));
		if (had) (panel.querySelector(`[data-key="${key}"]`) || head).focus();
		const said = [p.head, p.text].filter(Boolean).join(' ');
		if (spoken.textContent !== said) spoken.textContent = said;
	};

	const showDialog = (d) => {
		const made = d ? JSON.stringify(d) : '';
		if (made === asked && dialog.open === !!d) return;
		asked = made;
		// What the customer is just clicking on was not meant for a question that somebody
		// else asks, who sees the pointer; nor the second click of two for the next one.
		const early = dialog.open || !d?.more;
		if (dialog.open) dialog.close();
		else before = focused();
		if (!d) {
			if (before?.isConnected) before.focus({ preventScroll: true });
			before = null;
			return;
		}
		// Nothing that the customer is just typing may press a button: the headline has the focus.
		const head = h('h2', { tabIndex: -1 }, d.head);
		dialog.ariaLabel = d.head;
		dialog.oncancel = quiet((event) => {
			event.preventDefault();
			d.no[1]();
		});
		const row = buttons([d.no, d.yes]);
		if (early) {
			row.lastChild.disabled = true;
			setTimeout(() => { row.lastChild.disabled = false; }, calm);
		}
		dialog.replaceChildren(head, h('p', {}, d.text), h('ul', {}, ...(d.more ?? []).map((line) => h('li', {}, line))), row);
		dialog.showModal();
		head.focus();
	};

	/** While the page has a modal dialog, nothing outside of it can be clicked on, the way out included. */
	const home = () => [...document.querySelectorAll(':is(dialog:modal)')].pop() || document.documentElement;

	/** @param {View} next */
	const show = (next) => {
		view = next;
		const to = home();
		const there = host.parentNode === to || dialog.open && host.isConnected;
		if (!there) {
			to.append(host);
			// Above all, wherever the page's dialog has moved itself to.
			host.showPopover?.();
		}
		start.hidden = !view.start;
		frame.hidden = !view.frame;
		// A page that takes the host away takes the dialog out of the top layer, too.
		if (!there && dialog.open) dialog.close();
		showPanel(view.panel);
		showDialog(view.dialog);
	};

	return {
		layer, show,
		/** Comes back to a page that has thrown everything away, and goes along with its dialogs. */
		keep: () => show(view),
	};
}
