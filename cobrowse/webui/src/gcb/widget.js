// In place of ../sdk/widget.js: the old product's button at the edge of the page,
// its question before a session, and notifications. If the page draws the user
// interface itself, all that is left is who points where, and the frame around a
// page in which somebody else clicks and types: that is not to be overlooked.

import { makeEdgeButton } from './button.js';
import { edition } from './edition.js';
import { makeWidget as make } from '../sdk/widget.js';

export * from '../sdk/widget.js';

/**
 * What is shown: what the customer script says, and what this edition adds.
 * @param {import('../sdk/widget.js').View} view
 * @param {(key: string) => string} text
 * @param {number} now ms since 1970
 * @returns {{view: import('../sdk/widget.js').View, button: boolean}}
 */
export const compose = (view, text, now) => {
	if (edition.headless) return { view: { frame: view.frame }, button: false };
	const { question: q, hint, notice } = edition;
	const shown = { ...view, start: false };
	if (q && !shown.dialog) {
		shown.dialog = { head: text(q.head), text: text(q.text), no: [q.no, () => q.answer(false)], yes: [q.yes, () => q.answer(true), 'yes'] };
	}
	if (hint && !shown.panel) shown.panel = { head: text(hint.head), text: text(hint.text), buttons: [['close', hint.close]] };
	// Not instead of what is more important than news.
	if (notice && now < notice.until && shown.panel && !/warn|bad/.test(shown.panel.tone ?? '')) shown.panel = { ...shown.panel, head: notice.head };
	return { view: shown, button: !!view.start && edition.button && !q };
};

/** @type {typeof make} */
export const makeWidget = (parts) => {
	const widget = make(parts);
	edition.text = parts.text;
	const edge = makeEdgeButton({ text: parts.text, side: edition.side, onPress: () => edition.onStart() });
	const show = (view) => {
		edition.view = view;
		if (view.start) edition.onIdle();
		const { view: shown, button } = compose(view, parts.text, Date.now());
		edge.show(button);
		widget.show(shown);
	};
	edition.refresh = () => show(edition.view);
	return { ...widget, show, keep: () => show(edition.view) };
};
