/*
 * The masking playground: what the page's rules and the deployment's make of
 * fields of every kind. It asks the script of the page itself (Cobridge.lint), so
 * that it cannot say anything else than what happens.
 */

import { MASK } from '../sdk/policy.js';
import { renderLint } from '../sdk/lint.js';

/** @typedef {import('../sdk/lint.js').Row} Row */

const rules = [['', 'no rule'], ['show', 'data-cb-show'], ['mask', 'data-cb-mask'], ['block', 'data-cb-block']];
const problem = document.querySelector('[data-problem]');
const samples = [...document.querySelectorAll('[data-samples] > li')].map(equip);
const table = document.querySelector('[data-lint]');

/**
 * Puts the choice of a rule, and what a viewer sees, beside a sample.
 * @param {Element} item
 */
function equip(item) {
	const subject = /** @type {HTMLElement} */ (item.firstElementChild);
	const name = subject.querySelector('.label')?.textContent || subject.firstChild.textContent.trim() || subject.textContent.trim();
	const choice = document.createElement('select');
	choice.setAttribute('data-cb-show', '');
	for (const [value, text] of rules) {
		choice.append(new Option(text, value));
	}
	const chooser = document.createElement('label');
	chooser.append(`Rule`, choice);
	choice.setAttribute('aria-label', `Rule for ${name}`);
	const seen = document.createElement('div');
	// A viewer of this page must not read here what is masked beside it.
	seen.setAttribute('data-cb-block', '');
	const output = document.createElement('output');
	const why = document.createElement('small');
	seen.append('A viewer sees', output, why);
	item.append(chooser, seen);
	const apply = () => {
		for (const [rule] of rules) {
			if (rule) {
				subject.toggleAttribute(`data-cb-${rule}`, rule === choice.value);
			}
		}
	};
	choice.value = /** @type {HTMLElement} */ (item).dataset.rule || '';
	apply();
	choice.addEventListener('change', () => { apply(); update(); });
	subject.addEventListener('input', update);
	return { subject, seen, output, why };
}

/**
 * What a sample holds, for people: its value, or its words.
 * @param {HTMLElement} subject
 * @returns {{element: HTMLElement, kind: 'value'|'text', content: string}}
 */
function content(subject) {
	const field = /** @type {HTMLInputElement|null} */ (subject.querySelector('input, select, textarea'));
	if (field) {
		const value = field instanceof HTMLSelectElement ? field.selectedOptions[0].text : field.type === 'checkbox' ? (field.checked ? 'checked' : 'not checked') : field.value;
		return { element: field, kind: 'value', content: value };
	}
	const words = /** @type {HTMLElement} */ (subject.querySelector('.editable, a, p:not(.label), img'));
	return { element: words, kind: 'text', content: words instanceof HTMLImageElement ? `[picture: ${words.alt}]` : words.textContent };
}

/** @param {Row[]} rows */
function show(rows) {
	const byElement = new Map();
	for (const row of rows) {
		const element = find(row.path);
		if (element) {
			byElement.set(element, [...(byElement.get(element) || []), row]);
		}
	}
	for (const { subject, seen, output, why } of samples) {
		const { element, kind, content: words } = content(subject);
		const blocked = Boolean(element.closest('[data-cb-block]'));
		const own = byElement.get(element) || [];
		const row = own.find((/** @type {Row} */ r) => r.kind === kind) || own.find((/** @type {Row} */ r) => r.kind !== 'attribute');
		const shown = !blocked && (row ? row.shown : kind === 'text' && !element.closest('[data-cb-mask]'));
		seen.className = `seen${blocked ? ' blocked' : shown ? '' : ' masked'}`;
		output.textContent = blocked ? '' : shown ? words : words && MASK;
		why.textContent = row ? row.rule : blocked ? 'block: data-cb-block' : shown ? 'text is visible' : 'mask: data-cb-mask';
	}
	// The rules' own fields beside the samples would only be noise.
	renderLint(rows.filter((row) => row.kind === 'risk' || samples.some(({ subject }) => subject.contains(find(row.path)))), table);
}

/** @param {string} path */
function find(path) {
	try {
		return document.querySelector(path);
	} catch {
		return null; // inside a shadow root or a frame, where CSS does not reach
	}
}

let asked = false;

async function update() {
	if (asked) {
		return;
	}
	asked = true;
	await new Promise((resolve) => { setTimeout(resolve, 50); });
	asked = false;
	try {
		show(await globalThis.Cobridge.lint());
		problem.textContent = '';
	} catch (error) {
		problem.textContent = `The rules cannot be loaded, so nothing would be shared: ${error instanceof Error ? error.message : error}`;
	}
}

document.querySelector('[data-samples]').addEventListener('submit', (event) => event.preventDefault());
if (globalThis.Cobridge) {
	update();
} else {
	const script = document.querySelector('script[data-deployment]');
	script.addEventListener('load', update);
	script.addEventListener('error', () => { problem.textContent = 'The script cannot be loaded.'; });
}
