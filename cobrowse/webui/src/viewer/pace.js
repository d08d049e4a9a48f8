// What is typed goes out in batches: soon, in order, and never faster than the
// server takes it.

const soon = 15; // ms that a batch waits for more
const perSecond = 18; // of the 20 that the server takes
const burst = 10;
const most = 1000; // characters of one frame; 4 KiB in UTF-8 at the most

/**
 * @param {(value: string) => void} send one batch of text
 * @param {{now?: () => number, after?: (run: () => void, ms: number) => unknown}} [clock]
 */
export function makePace(send, { now = () => performance.now(), after = setTimeout } = {}) {
	let left = burst;
	let at = now();
	let waiting = '';
	let timed = false;

	function refill() {
		const time = now();
		left = Math.min(burst, left + (time - at) / 1000 * perSecond);
		at = time;
	}

	function later() {
		if (timed || waiting === '') return;
		timed = true;
		refill();
		after(() => {
			timed = false;
			refill();
			if (left >= 1) batch();
			later();
		}, left >= 1 ? soon : Math.ceil((1 - left) / perSecond * 1000) + 1);
	}

	function batch() {
		if (waiting === '') return;
		left -= 1;
		let end = Math.min(most, waiting.length);
		// A character of two units is not torn apart.
		if (end < waiting.length && /[\uD800-\uDBFF]/.test(waiting[end - 1])) end -= 1;
		const value = waiting.slice(0, end);
		waiting = waiting.slice(end);
		send(value);
	}

	return {
		/** Takes what was typed. */
		type(value) {
			waiting += value;
			later();
		},
		/** Sends what waits, because something else follows that must not overtake it. */
		flush() {
			refill();
			while (waiting !== '') batch();
		},
		/** Reports whether one more frame is within the rate, and counts it. */
		take() {
			refill();
			if (left < 1) return false;
			left -= 1;
			return true;
		},
		forget() { waiting = ''; },
	};
}
