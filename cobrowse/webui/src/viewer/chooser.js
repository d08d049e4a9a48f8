// Native pickers open for real input only, so what somebody chooses in the
// sharer's page is chosen here: the options of a list, a date, a colour, a range.

import { $, text } from './page.js';

const native = new Set(['date', 'time', 'datetime-local', 'month', 'week', 'color', 'range']);

/** Reports whether a click on an element opens a picker. */
export function isChosen(element) {
	return element?.localName === 'select' && !element.multiple && element.size <= 1 || element?.localName === 'input' && native.has(element.type);
}

/**
 * Opens the picker for an element of the picture, beside it.
 * @param {HTMLSelectElement | HTMLInputElement} element
 * @param {{left: number, top: number, width: number, height: number}} box of it, in the window
 * @param {(value: string) => void} chosen
 * @param {() => void} closed
 */
export function openChooser(element, box, chosen, closed) {
	const chooser = $('chooser');
	let open = true;
	const field = element.localName === 'select' ? listOf(element) : inputOf(element);
	const done = (value) => {
		if (!open) return;
		open = false;
		chooser.replaceChildren();
		chooser.hidden = true;
		if (value !== undefined) chosen(value);
		closed();
	};
	const label = document.createElement('label');
	label.append(text('choose.head'), field);
	const yes = document.createElement('button');
	yes.type = 'button';
	yes.className = 'primary';
	yes.textContent = text('choose.yes');
	const no = document.createElement('button');
	no.type = 'button';
	no.textContent = text('choose.no');
	const buttons = document.createElement('div');
	buttons.className = 'buttons';
	buttons.append(no, yes);
	chooser.replaceChildren(label, buttons);
	chooser.hidden = false;
	yes.addEventListener('click', () => done(field.value));
	no.addEventListener('click', () => done());
	if (field.localName === 'select') field.addEventListener('dblclick', () => done(field.value));
	chooser.onkeydown = (event) => {
		if (event.key === 'Escape') done();
		else if (event.key === 'Enter' && event.target === field) done(field.value);
		else return;
		event.preventDefault();
		event.stopPropagation();
	};
	chooser.onfocusout = (event) => {
		if (event.relatedTarget && !chooser.contains(event.relatedTarget)) done();
	};
	const size = chooser.getBoundingClientRect();
	const least = 8;
	const below = box.top + box.height + 4;
	const top = below + size.height < innerHeight - least ? below : Math.max(least, box.top - size.height - 4);
	chooser.style.left = `${Math.max(least, Math.min(box.left, innerWidth - size.width - least))}px`;
	chooser.style.top = `${top}px`;
	field.focus();
}

/** Options are named by their place: their values do not leave the sharer's page. */
function listOf(element) {
	const field = document.createElement('select');
	const options = [...element.options].slice(0, 500);
	field.size = Math.min(8, Math.max(2, options.length));
	for (const [i, option] of options.entries()) {
		const own = document.createElement('option');
		own.value = `#${i}`;
		own.textContent = option.label || option.textContent;
		own.disabled = option.disabled;
		own.selected = option.selected;
		field.append(own);
	}
	return field;
}

function inputOf(element) {
	const field = document.createElement('input');
	field.type = element.type;
	for (const name of ['min', 'max', 'step']) if (element.hasAttribute(name)) field.setAttribute(name, element.getAttribute(name));
	field.value = element.value;
	return field;
}
