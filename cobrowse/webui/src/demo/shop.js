/*
 * The demo shop: an ordinary site that knows nothing of cobrowsing, but for the
 * "Get help" button. The basket lives in this browser alone.
 */

/**
 * @typedef {{id: string, name: string, short: string, price: string, cents: number, picture: string}} Product
 * @typedef {Record<string, number>} Basket
 */

const key = 'shop.basket';
const one = document.querySelector.bind(document);
const all = (/** @type {string} */ selector) => [...document.querySelectorAll(selector)];

/** @type {Product[]} */
const products = JSON.parse(one('#catalogue')?.textContent || '[]');

/** @returns {Basket} */
function load() {
	try {
		return JSON.parse(localStorage.getItem(key) || '{}') || {};
	} catch {
		return {}; // no storage, or not ours: an empty basket
	}
}

/** @param {Basket} basket */
function save(basket) {
	try {
		localStorage.setItem(key, JSON.stringify(basket));
	} catch {
		// The basket lasts as long as the page, then.
	}
	show(basket);
}

/**
 * @param {string} name
 * @param {Record<string, string>} attributes
 * @param {(Node|string)[]} children
 */
function element(name, attributes, ...children) {
	const made = document.createElement(name);
	for (const [attribute, value] of Object.entries(attributes)) {
		made.setAttribute(attribute, value);
	}
	made.append(...children);
	return made;
}

const money = (/** @type {number} */ cents) => `€ ${(cents / 100).toFixed(2)}`;

let discount = false;

/** @param {Basket} basket */
function show(basket) {
	const lines = products.filter((p) => basket[p.id] > 0);
	const count = lines.reduce((sum, p) => sum + basket[p.id], 0);
	all('[data-basket-count]').forEach((b) => { b.textContent = String(count); });
	const list = one('[data-lines]');
	if (!list) {
		return;
	}
	list.replaceChildren(...lines.map((p) => line(p, basket[p.id], list.classList.contains('small'))));
	all('[data-none]').forEach((e) => { e.hidden = lines.length > 0; });
	all('[data-summary]').forEach((e) => { e.hidden = lines.length === 0; });
	const sum = lines.reduce((total, p) => total + p.cents * basket[p.id], 0);
	all('[data-sum]').forEach((e) => { e.textContent = money(sum); });
	all('[data-total]').forEach((e) => { e.textContent = money(discount ? Math.round(sum * 0.9) : sum); });
}

/**
 * @param {Product} product
 * @param {number} pieces
 * @param {boolean} small
 */
function line(product, pieces, small) {
	const cells = [
		element('img', { src: product.picture, width: '96', height: '72', alt: '' }),
		element('a', { href: `/shop/product/${product.id}` }, product.name),
	];
	if (small) {
		cells.push(element('span', { class: 'hint' }, `${pieces} ×`));
	} else {
		const input = element('input', { type: 'number', min: '0', max: '9', value: String(pieces), 'aria-label': `Pieces of ${product.name}`, 'data-cb-show': '' });
		input.addEventListener('change', () => set(product.id, Number(/** @type {HTMLInputElement} */ (input).value)));
		const remove = element('button', { type: 'button', class: 'plain', 'aria-label': `Remove ${product.name}` }, '✕');
		remove.addEventListener('click', () => set(product.id, 0));
		cells.push(input, remove);
	}
	cells.push(element('span', { class: 'price' }, money(product.cents * pieces)));
	return element('li', {}, ...cells);
}

/**
 * @param {string} id
 * @param {number} pieces
 */
function set(id, pieces) {
	const basket = load();
	basket[id] = Math.max(0, Math.min(9, Math.floor(pieces) || 0));
	if (basket[id] === 0) {
		delete basket[id];
	}
	save(basket);
}

let toastTimer = 0;

/** @param {string} text */
function toast(text) {
	const box = one('[data-toast]');
	box.textContent = text;
	box.hidden = false;
	clearTimeout(toastTimer);
	toastTimer = setTimeout(() => { box.hidden = true; }, 4000);
}

/**
 * @param {string} id
 * @param {number} pieces
 */
function add(id, pieces) {
	const product = products.find((p) => p.id === id);
	if (product) {
		set(id, (load()[id] || 0) + pieces);
		toast(`${product.name} is in the basket.`);
	}
}

/* Home */

function filter() {
	const form = one('[data-filter]');
	if (!form) {
		return;
	}
	const apply = () => {
		const data = new FormData(form);
		const words = String(data.get('q')).trim().toLowerCase();
		let shown = 0;
		for (const card of all('[data-products] > li')) {
			const fits = (!data.get('kind') || data.get('kind') === card.dataset.kind) && card.dataset.name.toLowerCase().includes(words);
			card.hidden = !fits;
			shown += fits ? 1 : 0;
		}
		one('[data-none]').hidden = shown > 0;
	};
	form.addEventListener('input', apply);
	form.addEventListener('submit', (/** @type {Event} */ event) => event.preventDefault());
	one('[data-reset]').addEventListener('click', () => { form.reset(); apply(); });
}

/* Product */

function tabs() {
	for (const box of all('[data-tabs]')) {
		const list = [...box.querySelectorAll('[role=tab]')];
		const select = (/** @type {HTMLElement} */ tab) => {
			for (const other of list) {
				other.setAttribute('aria-selected', String(other === tab));
				other.tabIndex = other === tab ? 0 : -1;
				document.getElementById(other.getAttribute('aria-controls')).hidden = other !== tab;
			}
		};
		list.forEach((tab, i) => {
			tab.addEventListener('click', () => select(tab));
			tab.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
				const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
				if (step) {
					const next = list[(i + step + list.length) % list.length];
					select(next);
					next.focus();
				}
			});
		});
	}
}

/* Checkout */

function checkout() {
	const form = one('[data-checkout]');
	if (!form) {
		return;
	}
	const reveal = form.querySelector('[data-reveal]');
	reveal.addEventListener('click', () => {
		const shown = form.password.type === 'password';
		form.password.type = shown ? 'text' : 'password';
		reveal.textContent = shown ? 'Hide' : 'Show';
		reveal.setAttribute('aria-pressed', String(shown));
	});
	form.card.addEventListener('input', () => {
		const digits = form.card.value.replace(/\D/g, '').slice(0, 16);
		form.card.value = digits.replace(/(.{4})(?=.)/g, '$1 ');
	});
	form.addEventListener('submit', (/** @type {Event} */ event) => {
		const bad = [...form.elements].find((field) => field.willValidate && !field.checkValidity());
		const problem = one('[data-problem]');
		problem.hidden = !bad;
		for (const field of form.elements) {
			field.removeAttribute('aria-invalid');
		}
		if (bad) {
			event.preventDefault();
			const label = bad.labels?.[0]?.firstChild?.textContent.trim() || bad.name;
			problem.textContent = `${label}: ${bad.validationMessage}`;
			bad.setAttribute('aria-invalid', 'true');
			bad.focus();
		}
	});
}

function voucher() {
	const form = one('[data-voucher]');
	form?.addEventListener('submit', (/** @type {Event} */ event) => {
		event.preventDefault();
		discount = form.voucher.value.trim().toUpperCase() === 'QUIET10';
		one('[data-voucher-state]').textContent = discount ? 'Ten percent less.' : 'This voucher is not known.';
		show(load());
	});
}

/* Account and help */

function account() {
	const settings = one('[data-settings]');
	settings?.addEventListener('submit', (/** @type {Event} */ event) => {
		event.preventDefault();
		settings.password.value = '';
		toast('Saved.');
	});
	settings?.size.addEventListener('input', () => { document.documentElement.style.fontSize = `${settings.size.value}%`; });
	const table = one('[data-orders]');
	for (const button of all('[data-sort]')) {
		button.addEventListener('click', () => {
			const column = Number(button.dataset.sort);
			const head = button.closest('th');
			const up = head.getAttribute('aria-sort') !== 'ascending';
			for (const other of table.querySelectorAll('th')) {
				other.removeAttribute('aria-sort');
			}
			head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
			const rows = [...table.tBodies[0].rows];
			rows.sort((a, b) => a.cells[column].textContent.localeCompare(b.cells[column].textContent, 'en', { numeric: true }) * (up ? 1 : -1));
			table.tBodies[0].append(...rows);
		});
	}
	const message = one('[data-message]');
	message?.addEventListener('submit', (/** @type {Event} */ event) => {
		event.preventDefault();
		message.reset();
		toast('Sent, or would be: this is a demonstration.');
	});
}

/* Designer: canvas and shadow DOM */

function designer() {
	const canvas = /** @type {HTMLCanvasElement|null} */ (one('#preview'));
	if (!canvas) {
		return;
	}
	const pen = canvas.getContext('2d');
	/** @type {{x: number, y: number}[][]} */
	let strokes = [];
	const draw = () => {
		const tint = one('#tint').value;
		pen.fillStyle = '#e9edf0';
		pen.fillRect(0, 0, 560, 420);
		pen.strokeStyle = tint;
		pen.lineWidth = 26;
		pen.beginPath();
		pen.arc(396, 210, 66, -Math.PI / 2, Math.PI / 2);
		pen.stroke();
		pen.fillStyle = tint;
		pen.beginPath();
		pen.roundRect(150, 90, 250, 260, 28);
		pen.fill();
		pen.fillStyle = '#ffffff';
		pen.font = '600 30px Georgia, serif';
		pen.textAlign = 'center';
		pen.fillText(one('#words').value, 275, 232, 220);
		pen.strokeStyle = '#f0d9a7';
		pen.lineWidth = 6;
		pen.lineCap = 'round';
		for (const points of strokes) {
			pen.beginPath();
			points.forEach((p, i) => (i ? pen.lineTo(p.x, p.y) : pen.moveTo(p.x, p.y)));
			pen.stroke();
		}
	};
	const point = (/** @type {PointerEvent} */ event) => ({ x: event.offsetX * canvas.width / canvas.clientWidth, y: event.offsetY * canvas.height / canvas.clientHeight });
	canvas.addEventListener('pointerdown', (event) => {
		strokes.push([point(event)]);
		canvas.setPointerCapture(event.pointerId);
	});
	canvas.addEventListener('pointermove', (event) => {
		if (event.buttons && strokes.length) {
			strokes[strokes.length - 1].push(point(event));
			draw();
		}
	});
	one('[data-wipe]').addEventListener('click', () => { strokes = []; draw(); });
	one('#words').addEventListener('input', draw);
	one('#tint').addEventListener('input', draw);
	draw();
}

/** A number with a button at each side, in a shadow root of its own. */
class Stepper extends HTMLElement {
	connectedCallback() {
		if (this.shadowRoot) {
			return;
		}
		const root = this.attachShadow({ mode: 'open' });
		const style = new CSSStyleSheet();
		style.replaceSync(`
			:host { display: flex; align-items: center; gap: 0.5rem; font-weight: 600; }
			span { flex: 1; }
			button { font: inherit; width: 2.75rem; height: 2.75rem; border-radius: 50%; border: 1px solid currentcolor; background: none; color: inherit; cursor: pointer; }
			button:focus-visible, input:focus-visible { outline: 2px solid; outline-offset: 2px; }
			input { font: inherit; width: 3.5rem; padding: 0.5rem 0; text-align: center; color: inherit; background: none; border: 1px solid; border-radius: 8px; }
		`);
		root.adoptedStyleSheets = [style];
		const label = this.getAttribute('label') || '';
		const value = /** @type {HTMLInputElement} */ (element('input', { value: '1', inputmode: 'numeric', 'aria-label': label, 'data-cb-show': '' }));
		const step = (/** @type {number} */ by) => { value.value = String(Math.max(1, Math.min(9, (Number(value.value) || 1) + by))); };
		const less = element('button', { type: 'button', 'aria-label': 'One less' }, '−');
		const more = element('button', { type: 'button', 'aria-label': 'One more' }, '+');
		less.addEventListener('click', () => step(-1));
		more.addEventListener('click', () => step(1));
		root.append(element('span', {}, label), less, value, more);
	}
}

/* Help */

/** The texts for Cobridge.state. */
const states = {
	asking: 'You are being asked whether you want to share.',
	waiting: 'Waiting for the agent. Tell the agent the digits that you see.',
	live: 'An agent sees this page.',
	paused: 'Sharing is paused.',
	reconnecting: 'The connection was lost. Trying again …',
};

function support() {
	const button = one('[data-get-help]');
	const text = one('[data-help-state]');
	if (!button) {
		return;
	}
	const idle = text.textContent;
	const follow = () => {
		const state = globalThis.Cobridge?.state || 'off';
		const sharing = state in states;
		button.textContent = sharing ? 'Stop sharing' : 'Get help';
		text.textContent = states[/** @type {keyof states} */ (state)] || idle;
	};
	button.addEventListener('click', async () => {
		const cobridge = globalThis.Cobridge;
		if (!cobridge) {
			text.textContent = 'Help is not there at the moment. Please try again.';
			return;
		}
		try {
			if (cobridge.state in states) {
				await cobridge.stop();
			} else {
				await cobridge.start({ name: 'Kim Customer' });
			}
		} catch {
			// The script says why in a window of its own.
		}
	});
	// The script is loaded async, before or after this one.
	const attach = () => {
		globalThis.Cobridge.on('state', follow);
		follow();
	};
	if (globalThis.Cobridge) {
		attach();
	} else {
		one('script[data-deployment]')?.addEventListener('load', attach);
	}
}

if (location.pathname.startsWith('/shop/thanks')) {
	save({});
}
one('[data-buy]')?.addEventListener('submit', (/** @type {Event} */ event) => {
	event.preventDefault();
	const form = /** @type {HTMLFormElement} */ (event.target);
	add(form.dataset.buy, Number(form.pieces.value) || 1);
});
document.addEventListener('click', (event) => {
	const button = /** @type {Element} */ (event.target).closest('[data-add]');
	if (button instanceof HTMLElement) {
		add(button.dataset.add, 1);
	}
});
customElements.define('shop-stepper', Stepper);
show(load());
filter();
tabs();
checkout();
voucher();
account();
designer();
support();
