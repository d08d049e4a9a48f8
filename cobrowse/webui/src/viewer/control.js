// Acting in the sharer's page: clicks, typing, choosing, scrolling and
// navigation, as far as they are granted, and words for what was refused.

import { isChosen, openChooser } from './chooser.js';
import { boxOf, elementAt, placeOf, scrollerAt } from './mapping.js';
import { makePace } from './pace.js';
import { $, say, text, write } from './page.js';

const keys = new Set(['Backspace', 'Delete', 'Enter', 'Tab', 'Escape', 'ArrowUp', 'ArrowDown', 'ArrowLeft', 'ArrowRight', 'Home', 'End']);
const leaving = 'F6'; // the key with which browsers go from one part of the window to the next
const answerIn = 15_000; // ms until an action counts as lost
const shownFor = 8000; // ms that a refusal stays
const pointerEvery = 50; // ms: 20 per second
const scrollEvery = 100; // ms

/**
 * @param {object} parts
 * @param {ReturnType<typeof import('./replay.js').makeReplay>} parts.replay
 * @param {ReturnType<typeof import('./stage.js').makeStage>} parts.stage
 * @param {ReturnType<typeof import('./grants.js').makeGrants>} parts.grants
 * @param {ReturnType<typeof import('./ink.js').makeInk>} parts.ink
 * @param {(frame: object) => void} parts.send
 * @param {(point: {x: number, y: number}) => void} parts.clicked marks a click of our own
 * @param {() => string} parts.colour of our own lines
 */
export function makeControl({ replay, stage, grants, ink, send, clicked, colour }) {
	const overlay = $('overlay');
	const catcher = $('catcher');
	let number = 0;
	/** @type {Map<number, {k: string, timer: number}>} */
	const waiting = new Map();
	let target = 0; // node into which is typed; 0 = where the sharer's focus is
	let pen = false;
	let hideRefusal = 0; // timer
	/** @type {{x: number, y: number, down: boolean} | null} */
	let pointer = null;
	let pointerTimer = 0;
	/** @type {{id: number, x: number, y: number, at: number} | null} */
	let scrolling = null;
	let scrollTimer = 0;

	const inControl = () => grants.mine('control');
	const pace = makePace((value) => act({ k: 'text', ...(target ? { id: target } : {}), v: value }));

	function act(action) {
		number += 1;
		const n = number;
		waiting.set(n, { k: action.k, timer: setTimeout(() => done({ n, ok: false, why: 'lost' }), answerIn) });
		send({ t: 'ctl', n, e: replay.epoch(), ...action });
	}

	/** What follows typing must not overtake it. */
	function actNow(action) {
		pace.flush();
		pace.take();
		act(action);
	}

	function done(frame) {
		const action = waiting.get(frame.n);
		if (!action) return;
		clearTimeout(action.timer);
		waiting.delete(frame.n);
		if (frame.ok) return;
		const why = text(`done.${frame.why}`) || text('done.error');
		refuse(`${text(`done.kind.${action.k}`) || text('done.kind.click')}: ${why}`);
	}

	function refuse(words) {
		write('refusal', words);
		say(words);
		clearTimeout(hideRefusal);
		hideRefusal = setTimeout(() => write('refusal', ''), shownFor);
	}

	// --- Pointer ---

	function report() {
		if (pointer && replay.shows()) send({ t: 'ptr', ...placeOf(replay.frame(), replay.idOf, pointer.x, pointer.y), ...(pointer.down ? { down: true } : {}) });
	}
	function reportSoon() {
		pointerTimer ||= setTimeout(() => {
			pointerTimer = 0;
			report();
		}, pointerEvery);
	}

	let pressed = false;
	/** @type {{x: number, y: number} | null} where a finger was that may scroll */
	let finger = null;

	/** A finger pulls the page along, as it would at home. */
	function pull(at) {
		const [dx, dy] = [finger.x - at.x, finger.y - at.y];
		if (Math.hypot(dx, dy) < 6) return;
		if (stage.free()) {
			stage.scrollFreely(at.x, at.y, dx, dy);
		} else if (inControl()) {
			scroll(at.x, at.y, dx, dy);
		}
		finger = at;
	}

	overlay.addEventListener('pointermove', (event) => {
		const at = stage.pointOf(event);
		if (finger && !pen) pull(at);
		if (ink.drawing()) {
			for (const part of event.getCoalescedEvents?.() ?? [event]) {
				const p = stage.pointOf(part);
				ink.move(p.x, p.y);
			}
			if (!event.getCoalescedEvents?.().length) ink.move(at.x, at.y);
		}
		pointer = { ...at, down: pressed };
		reportSoon();
	});
	overlay.addEventListener('pointerdown', (event) => {
		if (event.button !== 0 || event.target !== overlay) return;
		const at = stage.pointOf(event);
		pressed = true;
		finger = event.pointerType === 'touch' ? at : null;
		pointer = { ...at, down: true };
		report(); // a short click is not lost between two reports
		if (pen && grants.mine('draw')) {
			overlay.setPointerCapture(event.pointerId);
			ink.begin(at.x, at.y, colour());
		} else {
			clicked(at);
		}
		if (inControl() && !pen) {
			event.preventDefault();
			catcher.focus({ preventScroll: true });
		}
	});
	for (const kind of ['pointerup', 'pointercancel', 'lostpointercapture']) {
		overlay.addEventListener(kind, () => {
			if (ink.drawing()) ink.end();
			finger = null;
			if (!pressed) return;
			pressed = false;
			pointer = { ...pointer, down: false };
			reportSoon();
		});
	}

	overlay.addEventListener('click', (event) => {
		if (!inControl() || pen || event.target !== overlay || !replay.frame()) return;
		const at = stage.pointOf(event);
		click(elementAt(replay.frame(), at.x, at.y)?.element ?? null, at, event.detail > 1 && event.detail % 2 === 0);
	});
	overlay.addEventListener('contextmenu', (event) => {
		if (inControl()) event.preventDefault();
	});

	/** The element, or its nearest ancestor, that the sharer knows as well. */
	function known(element) {
		for (let e = element; e; e = e.parentElement ?? e.getRootNode().host) {
			const id = replay.idOf(e);
			if (id) return id;
		}
		return 0;
	}

	function click(element, at, again) {
		const id = known(element);
		if (!id) return;
		const picker = element.closest('select,input');
		if (isChosen(picker)) {
			const box = boxOf(replay.frame(), picker);
			const of = known(picker);
			if (box) openChooser(picker, stage.boxInWindow(box), (v) => actNow({ k: 'set', id: of, v }), () => catcher.focus({ preventScroll: true }));
			return;
		}
		const field = element.closest('input,textarea,[contenteditable]');
		target = field ? known(field) : 0;
		// The second click of a double click: those who only know clicks get another one.
		const plain = element.closest('button,input,a,summary,textarea') || element.closest('label')?.control;
		actNow({ k: again && !plain ? 'dbl' : 'click', id, x: Math.round(at.x), y: Math.round(at.y) });
	}

	overlay.addEventListener('wheel', (event) => {
		const { x, y } = stage.pointOf(event);
		const unit = event.deltaMode === 1 ? 40 : event.deltaMode === 2 ? 600 : 1;
		const [dx, dy] = [event.deltaX * unit, event.deltaY * unit];
		if (stage.free()) {
			if (stage.scrollFreely(x, y, dx, dy)) event.preventDefault();
		} else if (inControl()) {
			event.preventDefault();
			scroll(x, y, dx, dy);
		}
	}, { passive: false });

	/** Scrolls the sharer's page: to a place, since a wheel may be faster than the picture. */
	function scroll(x, y, dx, dy) {
		const frame = replay.frame();
		const found = frame && scrollerAt(frame, x, y, dx, dy);
		const id = found ? replay.idOf(found.node) : scrolling?.id ?? 0;
		if (!id) return;
		const now = performance.now();
		if (found && (!scrolling || scrolling.id !== id || now - scrolling.at > 600)) scrolling = { id, x: found.box.scrollLeft, y: found.box.scrollTop, at: now };
		const most = found ? { x: found.box.scrollWidth - found.box.clientWidth, y: found.box.scrollHeight - found.box.clientHeight } : { x: scrolling.x, y: scrolling.y };
		scrolling.x = Math.round(Math.min(Math.max(0, most.x), Math.max(0, scrolling.x + dx)));
		scrolling.y = Math.round(Math.min(Math.max(0, most.y), Math.max(0, scrolling.y + dy)));
		scrolling.at = now;
		scrollTimer ||= setTimeout(() => {
			scrollTimer = 0;
			if (inControl()) actNow({ k: 'scroll', id: scrolling.id, x: scrolling.x, y: scrolling.y });
		}, scrollEvery);
	}

	// --- Keyboard ---

	function leave() {
		const button = $('ask-control');
		(button.disabled || !button.offsetParent ? $('look') : button).focus();
		say(text('keys.left'));
	}

	overlay.addEventListener('focus', () => {
		if (inControl() && !pen) catcher.focus({ preventScroll: true });
	});
	for (const [kind, on] of [['focus', true], ['blur', false]]) catcher.addEventListener(kind, () => document.body.toggleAttribute('data-keys', on));

	catcher.addEventListener('keydown', (event) => {
		if (event.isComposing || !inControl()) return;
		if (event.key === leaving) {
			event.preventDefault();
			leave();
			return;
		}
		// Shift+Tab leaves as it does everywhere; shortcuts are the browser's.
		if (event.ctrlKey && !event.getModifierState('AltGraph') || event.metaKey || event.key === 'Tab' && event.shiftKey) return;
		if (event.key === ' ' && isPressed()) {
			event.preventDefault();
			actNow({ k: 'click', id: focus() });
		} else if (keys.has(event.key)) {
			event.preventDefault();
			event.stopPropagation();
			const id = focus();
			actNow({ k: 'key', ...(id && event.key !== 'Tab' ? { id } : {}), key: event.key });
			if (event.key === 'Tab') target = 0;
		} else if (event.key === 'PageUp' || event.key === 'PageDown') {
			event.preventDefault();
			const { width, height } = replay.frame()?.getBoundingClientRect() ?? { width: 0, height: 0 };
			const [w, h] = [width / stage.scale(), height / stage.scale()];
			scroll(w / 2, h / 2, 0, (event.key === 'PageUp' ? -0.8 : 0.8) * h);
		}
	});
	const focus = () => target || replay.focused();
	function isPressed() {
		const node = replay.nodeOf(focus());
		return node?.matches?.('button,summary,input[type=checkbox],input[type=radio],input[type=button],input[type=submit]') ?? false;
	}
	const typed = () => {
		const value = catcher.value;
		catcher.value = '';
		if (value && inControl()) pace.type(value);
	};
	catcher.addEventListener('input', (event) => {
		if (!event.isComposing) typed();
	});
	catcher.addEventListener('compositionend', typed);

	addEventListener('keydown', (event) => {
		if (event.key !== 'Escape' || event.defaultPrevented || document.querySelector('dialog[open]') || event.target === $('address')) return;
		if (pen) setPen(false);
		else if (inControl()) grants.giveBack('control');
	});

	// --- Drawing and navigation ---

	function setPen(on) {
		pen = on && grants.mine('draw');
		if (ink.drawing()) ink.end();
		document.body.toggleAttribute('data-pen', pen);
		$('pen').setAttribute('aria-pressed', String(pen));
	}
	$('pen').addEventListener('click', () => setPen(!pen));
	$('wipe').addEventListener('click', () => ink.takeBack());

	for (const k of ['back', 'forward', 'reload']) $(k).addEventListener('click', () => actNow({ k }));
	const goTo = () => {
		const url = $('address').value.trim();
		if (url) actNow({ k: 'goto', url });
	};
	$('go').addEventListener('click', goTo);
	$('address').addEventListener('keydown', (event) => {
		if (event.key === 'Enter') goTo();
	});

	return {
		done,
		/** After a change of what is granted. */
		changed() {
			const control = inControl();
			document.body.toggleAttribute('data-control', control);
			catcher.disabled = !control;
			overlay.tabIndex = control ? -1 : 0;
			overlay.setAttribute('aria-label', text(control ? 'overlay.control' : 'overlay.look'));
			$('drawTools').hidden = !grants.mine('draw');
			$('navTools').hidden = !grants.mine('navigate');
			if (pen && !grants.mine('draw')) setPen(false);
			if (!control) {
				pace.forget();
				target = 0;
			}
		},
		/** Another page: its nodes are others. */
		newPage() {
			target = 0;
			scrolling = null;
			if (document.activeElement !== $('address')) $('address').value = '';
		},
	};
}
