// Canvases as pictures: the viewer's frame runs no scripts, so it cannot draw.

const every = 500; // ms between two looks at the canvases
const most = 200 * 1024; // characters of one picture

/**
 * @param {object} parts
 * @param {import('./policy.js').Policy} parts.policy
 * @param {(event: any) => void} parts.emit takes an rrweb event that sets the src of the image that stands for the canvas
 * @returns {{source(el: HTMLCanvasElement, id: number): string, start(): void, stop(): void}} source gives the picture as a data: address and watches the canvas from then on; '' when there is none: masked, blocked, tainted by a foreign image, too large
 */
export function makeCanvases({ policy, emit }) {
	/** @type {Map<HTMLCanvasElement, {id: number, src: string, next: number}>} */
	const watched = new Map();
	let timer = 0;

	const draw = (el) => {
		if (policy.isTextHidden(el)) return '';
		try {
			const src = el.toDataURL('image/webp', 0.6);
			return src.length > most || src === 'data:,' ? '' : src;
		} catch {
			return ''; // tainted, or handed to a worker
		}
	};

	const look = (el, id) => {
		const begun = Date.now();
		const src = draw(el);
		// An expensive picture is taken less often: at most 5 % of the page's time.
		watched.set(el, { id, src, next: begun + Math.max(every, 20 * (Date.now() - begun)) });
		return src;
	};

	const tick = () => {
		if (document.hidden) return;
		for (const [el, { id, src, next }] of watched) {
			if (!el.isConnected) watched.delete(el);
			else if (Date.now() >= next) {
				const fresh = look(el, id);
				if (fresh !== src) emit({ type: 3, timestamp: Date.now(), data: { source: 0, texts: [], attributes: [{ id, attributes: { src: fresh || null } }], removes: [], adds: [] } });
			}
		}
	};

	return {
		source: look,
		start() { timer ||= setInterval(tick, every); },
		stop() {
			clearInterval(timer);
			timer = 0;
			watched.clear();
		},
	};
}
