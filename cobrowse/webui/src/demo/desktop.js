/*
 * The demo's agent desktop: a customer record as in any CRM. An agent shares it
 * with a supervisor.
 */

const one = document.querySelector.bind(document);
const all = (/** @type {string} */ selector) => [...document.querySelectorAll(selector)];

/** @type {Record<string, {name: string, subject: string, number: string, street: string, city: string, email: string, bank: string}>} */
const records = {
	kim: { name: 'Kim Customer', subject: 'Order not delivered', number: 'K-204-771', street: 'Garden Street 5', city: '10115 Berlin', email: 'kim@customer.invalid', bank: 'DE00 1234 5678 9012 3456 78' },
	chris: { name: 'Chris Customer', subject: 'Change of address', number: 'K-118-092', street: 'Harbour Road 21', city: '20457 Hamburg', email: 'chris@customer.invalid', bank: 'DE00 2345 6789 0123 4567 89' },
	robin: { name: 'Robin Customer', subject: 'Question about a bill', number: 'K-330-415', street: 'Hill Lane 8', city: '80331 Munich', email: 'robin@customer.invalid', bank: 'DE00 3456 7890 1234 5678 90' },
};

/** @param {string} key */
function open(key) {
	const record = records[key];
	one('[data-name]').textContent = record.name;
	one('[data-subject]').textContent = record.subject;
	document.title = `${record.name} – Service desk`;
	for (const [name, value] of Object.entries(record)) {
		const field = one('[data-customer]').elements.namedItem(name);
		if (field) {
			field.value = value;
		}
	}
	for (const button of all('[data-record]')) {
		button.toggleAttribute('aria-current', false);
		if (button.dataset.record === key) {
			button.setAttribute('aria-current', 'true');
		}
	}
	one('[data-saved]').textContent = '';
}

for (const button of all('[data-record]')) {
	button.addEventListener('click', () => open(button.dataset.record));
}

one('[data-find]').addEventListener('submit', (/** @type {Event} */ event) => event.preventDefault());
one('[data-find]').addEventListener('input', (/** @type {Event} */ event) => {
	const words = /** @type {HTMLInputElement} */ (event.target).value.trim().toLowerCase();
	for (const item of all('[data-queue] > li')) {
		item.hidden = !item.textContent.toLowerCase().includes(words);
	}
});

const tabs = all('[role=tab]');
/** @param {HTMLElement} tab */
function select(tab) {
	for (const other of tabs) {
		other.setAttribute('aria-selected', String(other === tab));
		other.tabIndex = other === tab ? 0 : -1;
		document.getElementById(other.getAttribute('aria-controls')).hidden = other !== tab;
	}
}
tabs.forEach((tab, i) => {
	tab.addEventListener('click', () => select(tab));
	tab.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
		const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
		if (step) {
			const next = tabs[(i + step + tabs.length) % tabs.length];
			select(next);
			next.focus();
		}
	});
});

one('[data-customer]').addEventListener('submit', (/** @type {Event} */ event) => {
	event.preventDefault();
	one('[data-name]').textContent = one('[data-customer]').elements.namedItem('name').value;
	one('[data-saved]').textContent = 'Saved.';
});
one('[data-toggle]').addEventListener('click', () => {
	const button = one('[data-toggle]');
	const held = button.getAttribute('aria-pressed') !== 'true';
	button.setAttribute('aria-pressed', String(held));
	button.textContent = held ? 'Go on' : 'Put on hold';
});
one('[data-done]').addEventListener('click', () => {
	const keys = Object.keys(records);
	const current = keys.findIndex((key) => one(`[data-record=${key}]`).hasAttribute('aria-current'));
	open(keys[(current + 1) % keys.length]);
});
one('[data-resend]').addEventListener('click', () => {
	one('[data-state]').textContent = 'sent again';
	one('[data-resend]').disabled = true;
});
one('[data-note]').addEventListener('submit', (/** @type {Event} */ event) => {
	event.preventDefault();
	const text = one('[data-note]').elements.namedItem('text');
	if (text.value.trim()) {
		const item = document.createElement('li');
		const when = document.createElement('time');
		const words = document.createElement('span');
		when.textContent = 'today';
		words.textContent = text.value.trim();
		item.append(when, ' ', words);
		one('[data-notes]').prepend(item);
		text.value = '';
	}
});

/** The texts for Cobridge.state. */
const states = {
	asking: 'You are being asked whether you want to share.',
	waiting: 'Waiting for the supervisor.',
	live: 'The supervisor sees this desk.',
	paused: 'Sharing is paused.',
	reconnecting: 'The connection was lost. Trying again …',
};
function follow() {
	const state = globalThis.Cobridge?.state || 'off';
	one('[data-share]').textContent = state in states ? 'Stop sharing' : 'Share my desk';
	one('[data-share-state]').textContent = states[/** @type {keyof states} */ (state)] || '';
}
function attach() {
	globalThis.Cobridge.on('state', follow);
	follow();
}
one('[data-share]').addEventListener('click', async () => {
	try {
		if (globalThis.Cobridge?.state in states) {
			await globalThis.Cobridge.stop();
		} else {
			await globalThis.Cobridge.start({ name: 'Ada Agent' });
		}
	} catch {
		one('[data-share-state]').textContent = 'That did not work. Please try again.';
	}
});
if (globalThis.Cobridge) {
	attach();
} else {
	one('script[data-deployment]').addEventListener('load', attach);
}
