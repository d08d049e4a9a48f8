// The old product's start button: at the left or the right edge of the page, half
// way down, where its customers look for it.

import { quiet } from '../sdk/quiet.js';

const css = `
button{all:unset;box-sizing:border-box;position:fixed;top:50%;transform:translateY(-50%);writing-mode:vertical-rl;color-scheme:light dark;
font:600 15px/1.2 system-ui,sans-serif;padding:18px 11px;min-width:40px;text-align:center;cursor:pointer;
background:CanvasText;color:Canvas;border:1px solid #7f8b9c;box-shadow:0 2px 14px #0005}
button:focus-visible{outline:3px solid #3b7ddd;outline-offset:2px}
button:hover{text-decoration:underline}
.left{left:0;border-radius:0 12px 12px 0;border-left:0}
.left span{rotate:180deg}
.right{right:0;border-radius:12px 0 0 12px;border-right:0}
span{display:block}
@media(max-width:600px){button{font-size:13px;padding:14px 7px;min-width:30px}}
@media print{button{display:none}}
`;

/**
 * @param {object} parts
 * @param {(key: string) => string} parts.text
 * @param {'left'|'right'} parts.side
 * @param {() => void} parts.onPress
 */
export const makeEdgeButton = ({ text, side, onPress }) => {
	/** @type {HTMLElement|null} */
	let host = null;
	let label = /** @type {any} */ (null);
	const make = () => {
		host = document.createElement('div');
		host.className = 'rr-block';
		host.setAttribute('data-cb-block', '');
		const fixed = { all: 'initial', display: 'block', position: 'fixed', top: 0, left: 0, width: 0, height: 0, 'z-index': 2147483646 };
		for (const name in fixed) host.style.setProperty(name, fixed[name], 'important');
		const root = host.attachShadow({ mode: 'closed' });
		const sheet = new CSSStyleSheet();
		sheet.replaceSync(css);
		root.adoptedStyleSheets = [sheet];
		const button = document.createElement('button');
		button.type = 'button';
		button.className = side;
		button.dataset.key = 'start';
		button.onclick = quiet((event) => event.isTrusted && onPress());
		// The page's own shortcuts are not for our button.
		for (const type of ['keydown', 'keyup', 'keypress', 'click', 'pointerdown', 'mousedown']) root.addEventListener(type, (event) => event.stopPropagation());
		label = document.createElement('span');
		button.append(label);
		root.append(button);
	};
	return {
		/** @param {boolean} there */
		show(there) {
			if (!there) {
				host?.remove();
				return;
			}
			if (!host) make();
			const el = /** @type {HTMLElement} */ (host);
			if (!el.isConnected) document.documentElement.append(el);
			const words = text('start');
			if (label.textContent !== words) label.textContent = words;
			el.lang = text('lang');
		},
	};
};
