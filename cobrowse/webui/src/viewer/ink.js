// Drawings over the picture: lines tied to how far the page was scrolled, which
// fade after a while.

const pinned = 5000; // ms until a finished line fades
const fading = 800; // ms
const colour = /^#[0-9a-f]{6}$/i;
const least = 40; // ms between two frames of points: 25 per second
const points = 512; // of one line
const lines = 64;

/**
 * @param {SVGSVGElement} svg over the picture
 * @param {() => {x: number, y: number}} scrolled how far the sharer's page is scrolled in the picture
 * @param {(frame: object) => void} send
 */
export function makeInk(svg, scrolled, send) {
	/** @type {Map<string, {line: SVGPolylineElement, pts: number[][], sx: number, sy: number, fade: number}>} */
	const drawn = new Map();
	let number = 0;
	/** @type {{n: number, waiting: number[][], timer: number, color: string} | null} the line that is being drawn here */
	let pen = null;

	function place(stroke) {
		const { x, y } = scrolled();
		stroke.line.setAttribute('transform', `translate(${stroke.sx - x} ${stroke.sy - y})`);
	}

	function redraw(stroke) {
		// A dot is a line that goes nowhere.
		const pts = stroke.pts.length === 1 ? [stroke.pts[0], stroke.pts[0]] : stroke.pts;
		stroke.line.setAttribute('points', pts.map((p) => p.join(',')).join(' '));
	}

	function remove(key) {
		const stroke = drawn.get(key);
		if (!stroke) return;
		clearTimeout(stroke.fade);
		stroke.line.remove();
		drawn.delete(key);
	}

	function good(pts) {
		return (Array.isArray(pts) ? pts : []).filter((p) => Array.isArray(p) && Number.isFinite(p[0]) && Number.isFinite(p[1])).map((p) => [p[0], p[1]]);
	}

	/** One frame of a drawing, of somebody else or our own. */
	function apply(from, frame) {
		const key = `${from} ${frame.n}`;
		if (frame.k === 'clear') {
			for (const other of [...drawn.keys()]) if (other.startsWith(`${from} `)) remove(other);
			return;
		}
		if (frame.k === 'begin') {
			remove(key);
			if (drawn.size >= lines) remove(drawn.keys().next().value);
			const line = document.createElementNS('http://www.w3.org/2000/svg', 'polyline');
			line.setAttribute('stroke', colour.test(frame.color) ? frame.color : '#c2410c');
			svg.append(line);
			drawn.set(key, { line, pts: [], sx: Number(frame.sx) || 0, sy: Number(frame.sy) || 0, fade: 0 });
		}
		const stroke = drawn.get(key);
		if (!stroke) return;
		stroke.pts.push(...good(frame.pts));
		stroke.pts.length = Math.min(stroke.pts.length, points);
		redraw(stroke);
		place(stroke);
		clearTimeout(stroke.fade);
		// A line whose end got lost fades as well, a little later.
		stroke.fade = setTimeout(() => {
			stroke.line.classList.add('fading');
			stroke.fade = setTimeout(() => remove(key), fading);
		}, frame.k === 'end' ? pinned : 2 * pinned);
	}

	function flush() {
		if (!pen || pen.waiting.length === 0) return;
		const frame = { t: 'draw', n: pen.n, k: 'pts', pts: pen.waiting };
		pen.waiting = [];
		apply('', frame);
		send(frame);
	}

	return {
		apply,
		begin(x, y, color) {
			const { x: sx, y: sy } = scrolled();
			number += 1;
			pen = { n: number, waiting: [], timer: 0, color };
			const frame = { t: 'draw', n: number, k: 'begin', pts: [[Math.round(x), Math.round(y)]], color, sx: Math.round(sx), sy: Math.round(sy) };
			apply('', frame);
			send(frame);
			pen.timer = setInterval(flush, least);
		},
		move(x, y) {
			pen?.waiting.push([Math.round(x), Math.round(y)]);
		},
		end() {
			if (!pen) return;
			clearInterval(pen.timer);
			flush();
			const frame = { t: 'draw', n: pen.n, k: 'end' };
			pen = null;
			apply('', frame);
			send(frame);
		},
		drawing: () => pen !== null,
		/** Takes our own lines back, everywhere. */
		takeBack() {
			this.end();
			apply('', { k: 'clear' });
			number += 1;
			send({ t: 'draw', n: number, k: 'clear' });
		},
		place() {
			for (const stroke of drawn.values()) place(stroke);
		},
		/** Another page: what was drawn belongs to none of its places. */
		clear() {
			if (pen) clearInterval(pen.timer);
			pen = null;
			for (const key of [...drawn.keys()]) remove(key);
		},
	};
}
