// The page's own elements and texts. Everything that came from elsewhere is
// written as text, never as markup.

export const setup = JSON.parse(document.getElementById('setup').textContent);

/** @param {string} id */
export const $ = (id) => document.getElementById(id);

/**
 * A text in the page's language, '' if there is none; {name} is replaced.
 * @param {string} key
 * @param {string} [name]
 */
export const text = (key, name = '') => (setup.texts[key] ?? '').replaceAll('{name}', name);

const emptyIsHidden = new Set(['next', 'again', 'note', 'refusal', 'aside']);

/** Writes text where it differs, so that screen readers hear it once; hides what is empty. */
export function write(id, value) {
	const element = $(id);
	if (element.textContent !== value) element.textContent = value;
	if (emptyIsHidden.has(id)) element.hidden = value === '';
}

let silent = false;

/** From now on nothing is said by the way: what stands in the way of work still is. */
export function silence() {
	silent = true;
	document.body.dataset.silent = '';
	$('pill').removeAttribute('role');
}

/** Says something to screen readers. */
export function say(words) {
	if (!silent) write('spoken', words);
}

export function element(name, className, content) {
	const e = document.createElement(name);
	e.className = className;
	e.textContent = content;
	return e;
}
