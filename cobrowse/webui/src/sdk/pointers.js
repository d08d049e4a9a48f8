// Who points where: the viewers' pointers, click marks and drawings over the
// customer's page, and the customer's own pointer on its way to the viewers.

import { listen, quiet } from './quiet.js';

const svg = 'http://www.w3.org/2000/svg';
const idle = 10_000; // ms after which a pointer that rests is taken away
const fade = 5000; // ms that a drawing stays
const perSecond = 20;
const most = { lines: 60, points: 2000, locks: 40 };

/** Where an element is in the window of the page, also when it lies in a frame. */
export const boxOf = (el) => {
	let { left, top, width, height } = el.getBoundingClientRect();
	for (let view = el.ownerDocument.defaultView; view && view !== window; view = view.parent) {
		const frame = view.frameElement;
		if (!frame) break;
		const outer = frame.getBoundingClientRect();
		left += outer.left + frame.clientLeft;
		top += outer.top + frame.clientTop;
	}
	return { left, top, width, height };
};

/**
 * @param {object} parts
 * @param {Element} parts.layer drawn on, covers the window and takes no input
 * @param {(id: number) => any} parts.getNode
 * @param {(id: string) => string} parts.nameOf
 */
export function makePointers({ layer, getNode, nameOf }) {
	/** @type {Map<string, {el: HTMLElement, timer: number, down: boolean}>} */
	const pointers = new Map();
	/** @type {Map<string, {el: SVGPolylineElement, sx: number, sy: number, timer: number}>} */
	const lines = new Map();
	const canvas = layer.appendChild(document.createElementNS(svg, 'svg'));

	const make = (className, text) => {
		const el = layer.appendChild(document.createElement('div'));
		el.className = className;
		el.textContent = text;
		return el;
	};
	const at = (el, x, y) => {
		el.style.transform = `translate(${x}px,${y}px)`;
	};

	const ptr = (f) => {
		let p = pointers.get(f.from);
		if (!p) {
			p = { el: make('at pointer', ''), timer: 0, down: false };
			p.el.append(make('name', nameOf(f.from)));
			pointers.set(f.from, p);
		}
		let { x, y } = f;
		const node = f.id && getNode(f.id);
		if (node?.isConnected && node.getBoundingClientRect) {
			const box = boxOf(node);
			x = box.left + (f.fx || 0) * box.width;
			y = box.top + (f.fy || 0) * box.height;
		}
		at(p.el, x, y);
		if (f.down && !p.down) {
			const mark = make('at mark', '');
			at(mark, x, y);
			setTimeout(() => mark.remove(), 700);
		}
		p.down = !!f.down;
		clearTimeout(p.timer);
		p.timer = setTimeout(() => gone(f.from), idle);
	};
	const gone = (from) => {
		const p = pointers.get(from);
		clearTimeout(p?.timer);
		p?.el.remove();
		pointers.delete(from);
	};

	const erase = (key) => {
		clearTimeout(lines.get(key)?.timer);
		lines.get(key)?.el.remove();
		lines.delete(key);
	};
	const place = (line) => line.el.setAttribute('transform', `translate(${line.sx - scrollX} ${line.sy - scrollY})`);
	const draw = (f) => {
		const key = `${f.from} ${f.n}`;
		if (f.k === 'clear') {
			for (const k of [...lines.keys()]) if (k.startsWith(`${f.from} `)) erase(k);
			return;
		}
		let line = lines.get(key);
		if (!line) {
			if (lines.size >= most.lines) erase(lines.keys().next().value);
			line = { el: document.createElementNS(svg, 'polyline'), sx: f.sx || 0, sy: f.sy || 0, timer: 0 };
			if (/^#[\da-f]{6}$/i.test(f.color)) line.el.style.stroke = f.color;
			canvas.append(line.el);
			lines.set(key, line);
			place(line);
		}
		for (const [x, y] of f.pts ?? []) {
			if (line.el.points.numberOfItems >= most.points || !Number.isFinite(x + y)) break;
			const point = canvas.createSVGPoint();
			point.x = x;
			point.y = y;
			line.el.points.appendItem(point);
		}
		clearTimeout(line.timer);
		line.timer = setTimeout(() => erase(key), fade);
	};

	/** @type {{el: Element, mark: Element}[]} */
	let locked = [];
	/** Puts the locks where their fields are now. */
	const move = () => {
		for (const line of lines.values()) place(line);
		for (const { el, mark } of locked) {
			const box = boxOf(el);
			const x = box.left + box.width - 22;
			const y = box.top + box.height / 2;
			// A lock on what lies under something else would be wrong.
			const top = box.width > 40 && document.elementFromPoint(x - 8, y);
			mark.style.display = top && (top === el || el.contains(top) || top.contains(el)) ? '' : 'none';
			at(mark, x, y - 3);
		}
	};
	/** @param {Element[]} fields that are hidden from the viewers */
	const locks = (fields) => {
		const list = fields.slice(0, most.locks);
		if (list.length !== locked.length || list.some((el, i) => locked[i].el !== el)) {
			for (const { mark } of locked) mark.remove();
			locked = list.map((el) => ({ el, mark: make('at lock', '') }));
		}
		move();
	};
	listen(window, 'scroll resize', move);

	return {
		ptr, draw, gone, locks,
		clear() {
			for (const from of [...pointers.keys()]) gone(from);
			for (const key of [...lines.keys()]) erase(key);
			locks([]);
		},
	};
}

/**
 * Reports the customer's pointer, the newest of each twentieth of a second.
 * @param {(ptr: object) => void} send
 * @param {(node: any) => number} getId
 * @param {(el: Element) => boolean} secret where the pointer would tell what is entered: a PIN pad
 */
export function reportPointer(send, getId, secret) {
	let next = null;
	let timer = 0;
	const report = () => {
		timer = 0;
		if (!next) return;
		send(next);
		next = null;
		timer = setTimeout(quiet(report), 1000 / perSecond);
	};
	listen(window, 'pointermove pointerdown pointerup', (event) => {
		const el = event.composedPath()[0];
		if (!event.isTrusted || el?.nodeType !== 1 || secret(el)) return;
		const box = el.getBoundingClientRect();
		const id = getId(el);
		const part = (from, length) => Math.round(from / length * 1000) / 1000 || 0;
		next = {
			t: 'ptr', x: Math.round(event.clientX), y: Math.round(event.clientY), ...id > 0 ? { id } : {},
			fx: part(event.clientX - box.left, box.width), fy: part(event.clientY - box.top, box.height),
			down: event.buttons > 0,
		};
		// A click between two reports is not lost.
		if (event.type === 'pointerdown') {
			clearTimeout(timer);
			report();
		}
		timer ||= setTimeout(quiet(report), 1000 / perSecond);
	});
}
