// Pointers of the others with their names, marks where somebody clicked, and the
// outline around a private field. All in CSS pixels of the sharer's viewport.

import { boxOf, pointOf } from './mapping.js';

const idle = 12_000; // ms after which a pointer that does not move fades
const shape = 'M1 1l6.2 17 2.6-7.2L17 8z';

/**
 * @param {HTMLElement} layer over the picture, as large as the frame
 * @param {ReturnType<typeof import('./replay.js').makeReplay>} replay
 */
export function makePointers(layer, replay) {
	/** @type {Map<string, {place: object, element: HTMLElement, label: HTMLElement, fade: number}>} */
	const pointers = new Map();
	const outline = document.createElement('div');
	outline.className = 'private';
	outline.hidden = true;
	layer.append(outline);
	let masked = 0; // node of the private field

	function at(element, point) {
		element.style.transform = `translate(${point.x}px, ${point.y}px)`;
	}

	function arrow() {
		const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
		svg.setAttribute('viewBox', '0 0 18 20');
		const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
		path.setAttribute('d', shape);
		svg.append(path);
		return svg;
	}

	return {
		/**
		 * Moves somebody's pointer.
		 * @param {{id: string, name: string, tone: string}} who
		 * @param {{x: number, y: number, id?: number, fx?: number, fy?: number, down?: boolean}} place
		 */
		move(who, place) {
			let pointer = pointers.get(who.id);
			if (!pointer) {
				const element = document.createElement('div');
				element.className = 'pointer';
				element.dataset.from = who.id;
				const label = document.createElement('span');
				element.append(arrow(), label);
				layer.append(element);
				pointer = { place: {}, element, label, fade: 0 };
				pointers.set(who.id, pointer);
			}
			const pressed = place.down === true && pointer.place.down !== true;
			pointer.place = place;
			pointer.element.dataset.tone = who.tone;
			if (pointer.label.textContent !== who.name) pointer.label.textContent = who.name;
			const point = pointOf(replay.frame(), replay.nodeOf, place);
			at(pointer.element, point);
			pointer.element.classList.remove('idle');
			clearTimeout(pointer.fade);
			pointer.fade = setTimeout(() => pointer.element.classList.add('idle'), idle);
			if (pressed) this.mark(who.tone, point);
		},
		/** Marks a click for a moment. */
		mark(tone, point) {
			const mark = document.createElement('div');
			mark.className = 'click';
			mark.dataset.tone = tone;
			at(mark, point);
			layer.append(mark);
			setTimeout(() => mark.remove(), 900);
		},
		/** Outlines a private field, 0 = none. */
		private(node) {
			masked = node;
			this.place();
		},
		/** Puts everything where it belongs after the picture has moved. */
		place() {
			const frame = replay.frame();
			for (const pointer of pointers.values()) at(pointer.element, pointOf(frame, replay.nodeOf, pointer.place));
			const box = frame && masked ? boxOf(frame, replay.nodeOf(masked)) : null;
			outline.hidden = !box;
			if (!box) return;
			at(outline, { x: box.left - 3, y: box.top - 3 });
			outline.style.width = `${box.width + 6}px`;
			outline.style.height = `${box.height + 6}px`;
		},
		busy: () => masked > 0 || pointers.size > 0,
		/** Keeps the pointers of those who are here. */
		keep(here) {
			for (const [id, pointer] of pointers) {
				if (here.has(id)) continue;
				clearTimeout(pointer.fade);
				pointer.element.remove();
				pointers.delete(id);
			}
		},
		clear() {
			masked = 0;
			this.keep(new Set());
			this.place();
		},
	};
}
