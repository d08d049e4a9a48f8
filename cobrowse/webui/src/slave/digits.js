// The nine digits as people type and paste them: grouped by three, with whatever
// stands between them in mails and chats.

export const wanted = 9;

/** What people put between digits: spaces of all kinds, dashes, dots, slashes. */
const between = /[\s\u200b\u00ad\ufeff\p{Pd}\u2212._/]/gu;

/** @param {string} text full-width digits, which some keyboards type, are digits */
const bare = (text) => text.normalize('NFKC').replace(between, '');

/**
 * @param {string} text what stands in the field
 * @returns {{digits: string, wrong: '' | 'empty' | 'letters' | 'short' | 'long'}} digits are nine if nothing is wrong
 */
export function read(text) {
	const rest = bare(text);
	const digits = rest.replace(/[^0-9]/g, '');
	if (rest === '') return { digits, wrong: 'empty' };
	if (digits !== rest) return { digits, wrong: 'letters' };
	if (digits.length !== wanted) return { digits, wrong: digits.length < wanted ? 'short' : 'long' };
	return { digits, wrong: '' };
}

/** @param {string} digits @returns {string} as they are read out: 123 456 789 */
export const group = (digits) => digits.replace(/(...)(?=.)/g, '$1 ');

/**
 * The nine digits in a text that somebody pasted, such as a whole message.
 * @param {string} text
 * @returns {string} empty if there are none, or more than one number that it could be
 */
export function find(text) {
	const plain = text.normalize('NFKC');
	const whole = read(plain);
	if (!whole.wrong) return whole.digits;
	const found = new Set();
	for (const [run] of plain.matchAll(/\d(?:[\s\p{Pd}\u2212._/]?\d)*/gu)) {
		const digits = bare(run);
		if (digits.length === wanted) found.add(digits);
	}
	return found.size === 1 ? [...found][0] : '';
}

/**
 * The field after an input: digits are grouped, the cursor stays beside its digit,
 * and deleting a gap deletes the digit behind it. What is no number yet is left
 * alone, so that nothing disappears while somebody types.
 * @param {string} text what stands in the field now
 * @param {number} cursor in it
 * @param {string} before what stood in it
 * @param {string} [kind] inputType of the event
 * @returns {{text: string, cursor: number}}
 */
export function tidy(text, cursor, before, kind = '') {
	const rest = bare(text);
	if (/[^0-9]/.test(rest)) return { text, cursor };
	let digits = rest;
	let left = bare(text.slice(0, cursor)).length;
	if (digits === bare(before) && text.length < before.length) {
		if (kind === 'deleteContentBackward' && left > 0) {
			digits = digits.slice(0, left - 1) + digits.slice(left);
			left -= 1;
		} else if (kind === 'deleteContentForward') {
			digits = digits.slice(0, left) + digits.slice(left + 1);
		}
	}
	const grouped = group(digits);
	// A new group begins with its digit: behind the gap when more follows, before it when nothing does.
	const gaps = left === 0 ? 0 : Math.floor((left - (left === digits.length || kind.startsWith('delete') ? 1 : 0)) / 3);
	return { text: grouped, cursor: Math.min(grouped.length, left + gaps) };
}
