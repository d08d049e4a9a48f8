// The stage: the picture at the size of the sharer's viewport, scaled to fit or
// looked at freely, what lies over it, and the frame around it that says whose
// page this is.

import { scrollerAt } from './mapping.js';
import { $, say, text, write } from './page.js';

const margin = 8; // px, both sides together: room for the line around the picture
const steps = { ArrowUp: [0, -60], ArrowDown: [0, 60], ArrowLeft: [-60, 0], ArrowRight: [60, 0], PageUp: [0, -0.9], PageDown: [0, 0.9], Home: [0, -1e6], End: [0, 1e6] };

/**
 * @param {ReturnType<typeof import('./replay.js').makeReplay>} replay
 * @param {() => void} moved something has another place on the screen
 */
export function makeStage(replay, moved) {
	const view = $('view');
	const canvas = $('canvas');
	const overlay = $('overlay');
	let size = { width: 1280, height: 720 };
	let scale = 1;
	let free = false;
	let frames = 0; // pending animation frame

	function fit() {
		const box = view.getBoundingClientRect();
		const room = { width: box.width - margin, height: box.height - margin };
		scale = free ? 1 : Math.min(1, room.width / size.width, room.height / size.height);
		if (!(scale > 0)) scale = 1;
		canvas.style.width = `${size.width * scale}px`;
		canvas.style.height = `${size.height * scale}px`;
		canvas.style.setProperty('--scale', String(scale));
		canvas.style.setProperty('--width', `${size.width}px`);
		canvas.style.setProperty('--height', `${size.height}px`);
		$('ink').setAttribute('viewBox', `0 0 ${size.width} ${size.height}`);
		write('scale', `${Math.round(scale * 100)} %`);
		moved();
	}
	new ResizeObserver(fit).observe(view);

	/** Scrolls the picture, not the sharer's page. Reports whether it moved. */
	function scrollFreely(x, y, dx, dy) {
		const frame = replay.frame();
		const found = frame && scrollerAt(frame, x, y, dx, dy);
		if (!found) return false;
		found.box.scrollBy({ left: dx, top: dy, behavior: 'instant' });
		soon();
		return true;
	}

	function soon() {
		if (frames) return;
		frames = requestAnimationFrame(() => {
			frames = 0;
			moved();
		});
	}

	function setFree(on) {
		if (free === on) return;
		free = on;
		replay.setFree(on);
		document.body.toggleAttribute('data-free', on);
		$('look').setAttribute('aria-pressed', String(on));
		write('look', text(on ? 'look.fit' : 'look.free'));
		$('freeMark').hidden = !on;
		say(text(on ? 'look.free.on' : 'look.free.off'));
		fit();
		if (!on) view.scrollTo(0, 0);
	}
	$('look').addEventListener('click', () => setFree(!free));

	overlay.addEventListener('keydown', (event) => {
		const step = steps[event.key];
		if (!free || event.target !== overlay || !step || event.ctrlKey || event.metaKey || event.altKey) return;
		const [dx, dy] = Math.abs(step[1]) === 0.9 ? [0, step[1] * size.height] : step;
		if (scrollFreely(size.width / 2, size.height / 2, dx, dy)) event.preventDefault();
	});

	return {
		/** The picture has this size, in CSS pixels of the sharer's viewport. */
		resize(next) {
			if (next.width === size.width && next.height === size.height) return;
			size = next;
			fit();
		},
		fit,
		soon,
		scale: () => scale,
		free: () => free,
		setFree,
		scrollFreely,
		/** Where an event happened in the sharer's viewport. */
		pointOf(event) {
			const box = overlay.getBoundingClientRect();
			return { x: (event.clientX - box.left) / scale, y: (event.clientY - box.top) / scale };
		},
		/** Where a box of the sharer's viewport is in the window. */
		boxInWindow(box) {
			const at = overlay.getBoundingClientRect();
			return { left: at.left + box.left * scale, top: at.top + box.top * scale, width: box.width * scale, height: box.height * scale };
		},
		/** How far the sharer's page is scrolled in the picture. */
		scrolled() {
			const window = replay.frame()?.contentWindow;
			return { x: window?.scrollX ?? 0, y: window?.scrollY ?? 0 };
		},
		/** Shows the page's address around the picture, as text. */
		showPage(url, title) {
			let site = url;
			let path = '';
			try {
				const address = new URL(url);
				if (/^https?:$/.test(address.protocol)) [site, path] = [address.host, address.pathname];
			} catch { /* shown as it is */ }
			write('site', site);
			write('path', path === '/' ? '' : path);
			write('siteTitle', title);
		},
		/**
		 * Says over the picture why it does not move.
		 * @param {string} key of the texts, '' = nothing
		 */
		veil(key, name) {
			const head = key && text(`veil.${key}.head`, name);
			$('veil').hidden = !head;
			$('veil').dataset.kind = key;
			if (!head) return;
			if ($('veilHead').textContent !== head) say(head);
			write('veilHead', head);
			write('veilText', text(`veil.${key}.text`, name));
		},
	};
}
