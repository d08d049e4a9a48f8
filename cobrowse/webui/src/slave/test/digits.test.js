import assert from 'node:assert/strict';
import { test } from 'node:test';

import { find, group, read, tidy } from '../digits.js';

test('what stands in the field is read as people write it', () => {
	for (const [text, digits, wrong] of [
		['123456789', '123456789', ''],
		['123 456 789', '123456789', ''],
		['123-456-789', '123456789', ''],
		[' 123\u00a0456\u2009789\n', '123456789', ''],
		['123\u2013456\u2011789', '123456789', ''],
		['123.456.789', '123456789', ''],
		['12/345/6789', '123456789', ''],
		['１２３ ４５６ ７８９', '123456789', ''],
		['000000000', '000000000', ''],
		['', '', 'empty'],
		[' - ', '', 'empty'],
		['12345678', '12345678', 'short'],
		['1234567890', '1234567890', 'long'],
		['12345678a', '12345678', 'letters'],
		['+49 123 456', '49123456', 'letters'],
		['٣٣٣٣٣٣٣٣٣', '', 'letters'],
	]) {
		assert.deepEqual(read(text), { digits, wrong }, JSON.stringify(text));
	}
});

test('digits are grouped by three', () => {
	for (const [digits, want] of [['', ''], ['1', '1'], ['123', '123'], ['1234', '123 4'], ['123456', '123 456'], ['1234567', '123 456 7'], ['123456789', '123 456 789'], ['1234567890', '123 456 789 0']]) {
		assert.equal(group(digits), want);
	}
});

test('the number is found in what was pasted', () => {
	for (const [text, want] of [
		['123 456 789', '123456789'],
		['Kim: my number is 123-456-789, thanks', '123456789'],
		['Your number: 123 456 789\nRead it out at 14:05.', '123456789'],
		['123 456 789 and again 123456789', '123456789'],
		['123 456 789 or 987 654 321', ''],
		['call 0123 456 7890', ''],
		['1234567890', ''],
		['nothing', ''],
		['', ''],
	]) {
		assert.equal(find(text), want, JSON.stringify(text));
	}
});

/** Types into a field, where | is the cursor; - is Backspace, + is Delete. */
function type(field, keys) {
	let [text, cursor] = [field.replace('|', ''), field.indexOf('|')];
	for (const key of keys) {
		const before = text;
		let kind = 'insertText';
		if (key === '-') {
			kind = 'deleteContentBackward';
			if (cursor === 0) continue;
			text = text.slice(0, cursor - 1) + text.slice(cursor);
			cursor -= 1;
		} else if (key === '+') {
			kind = 'deleteContentForward';
			text = text.slice(0, cursor) + text.slice(cursor + 1);
		} else {
			text = text.slice(0, cursor) + key + text.slice(cursor);
			cursor += key.length;
		}
		({ text, cursor } = tidy(text, cursor, before, kind));
	}
	return `${text.slice(0, cursor)}|${text.slice(cursor)}`;
}

test('typing, correcting, and the cursor', () => {
	for (const [field, keys, want] of [
		['|', '123', '123|'],
		['|', '1234', '123 4|'],
		['|', '123456789', '123 456 789|'],
		['|', '123 456 789', '123 456 789|'],
		['|', '123-4', '124|'],
		['123 4|', '-', '123|'],
		['123 456 789|', '---------', '|'],
		['123 |456', '-', '12|4 56'],
		['123| 456', '+', '123| 56'],
		['123| 456', '-', '12|4 56'],
		['12|4 567', '3', '123 |456 7'],
		['|456', '1', '1|45 6'],
		['|123', '-', '|123'],
		['123 456 789|', '0', '123 456 789 0|'],
		['123|', 'x', '123x|'],
		['12x|', '-', '12|'],
		['123 4x5|', '6', '123 4x56|'],
	]) {
		assert.equal(type(field, keys), want, `${field} ${keys}`);
	}
});
