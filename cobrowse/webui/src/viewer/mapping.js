// From places in the picture to nodes, and back. The frame shows the sharer's
// viewport; frames and shadow roots inside it have places of their own.

/**
 * @typedef {object} Hit
 * @property {Element} element the innermost one at the place
 * @property {number} x in the viewport of the element's own document
 * @property {number} y
 */

/**
 * Finds what is at a place, in CSS pixels of the sharer's viewport. It works
 * although the frame is inert and takes no pointer.
 * @param {HTMLIFrameElement} frame
 * @returns {Hit | null}
 */
export function elementAt(frame, x, y) {
	let root = frame.contentDocument;
	let element = root?.elementFromPoint(x, y) ?? null;
	for (let steps = 0; element && steps < 64; steps++) {
		const shadow = element.shadowRoot;
		const inner = shadow?.elementFromPoint(x, y);
		if (inner && inner !== element) {
			element = inner;
			continue;
		}
		if (element.localName !== 'iframe' || !element.contentDocument) break;
		const box = element.getBoundingClientRect();
		const left = x - box.left - element.clientLeft;
		const top = y - box.top - element.clientTop;
		root = element.contentDocument;
		const deeper = root.elementFromPoint(left, top);
		if (!deeper) break;
		[element, x, y] = [deeper, left, top];
	}
	return element && { element, x, y };
}

/**
 * Returns the box of a node in CSS pixels of the sharer's viewport, null if the
 * node shows nothing.
 * @param {HTMLIFrameElement} frame
 * @param {Node | null} node
 */
export function boxOf(frame, node) {
	const element = node?.nodeType === Node.TEXT_NODE ? node.parentElement : node;
	if (!element?.isConnected || !element.getBoundingClientRect) return null;
	const own = element.getBoundingClientRect();
	let { left, top } = own;
	for (let inner = element.ownerDocument.defaultView?.frameElement; inner && inner !== frame; inner = inner.ownerDocument.defaultView?.frameElement) {
		const box = inner.getBoundingClientRect();
		left += box.left + inner.clientLeft;
		top += box.top + inner.clientTop;
	}
	if (own.width === 0 && own.height === 0) return null;
	return { left, top, width: own.width, height: own.height };
}

/**
 * Describes a place for the wire: where it is in the sharer's viewport, and where
 * in which node, so that both sides agree when their scrolling differs.
 * @param {HTMLIFrameElement | null} frame
 * @param {(node: Node) => number} idOf
 */
export function placeOf(frame, idOf, x, y) {
	const place = { x: Math.round(x), y: Math.round(y) };
	const hit = frame && elementAt(frame, x, y);
	const id = hit ? idOf(hit.element) : 0;
	if (!id) return place;
	const box = hit.element.getBoundingClientRect();
	const part = (at, size) => (size > 0 ? Math.round(1000 * Math.min(1, Math.max(0, at / size))) / 1000 : 0);
	return { ...place, id, fx: part(hit.x - box.left, box.width), fy: part(hit.y - box.top, box.height) };
}

/** Where a place of the wire is in the picture: by its node, if that is there. */
export function pointOf(frame, nodeOf, place) {
	const node = frame && place.id ? nodeOf(place.id) : null;
	// The root's box is as long as the page: a fraction of it says little.
	const whole = node && (node.nodeType === Node.DOCUMENT_NODE || node === node.ownerDocument?.documentElement || node === node.ownerDocument?.body);
	const box = node && !whole && Number.isFinite(place.fx) && Number.isFinite(place.fy) ? boxOf(frame, node) : null;
	if (!box) return { x: Number(place.x) || 0, y: Number(place.y) || 0 };
	return { x: box.left + place.fx * box.width, y: box.top + place.fy * box.height };
}

/**
 * Finds what scrolls at a place: the innermost element or document that can move
 * in the direction.
 * @returns {{node: Node, box: Element} | null} the node to name, and what has the offsets
 */
export function scrollerAt(frame, x, y, dx, dy) {
	let element = elementAt(frame, x, y)?.element ?? frame.contentDocument?.documentElement ?? null;
	while (element) {
		const doc = element.ownerDocument;
		const top = doc.scrollingElement ?? doc.documentElement;
		if (element === doc.documentElement || element === doc.body) {
			if (canMove(top, dx, dy)) return { node: doc, box: top };
			const owner = doc.defaultView?.frameElement;
			element = owner && owner !== frame ? owner : null;
			continue;
		}
		const style = doc.defaultView.getComputedStyle(element);
		const scrolls = dy ? style.overflowY : style.overflowX;
		if ((scrolls === 'auto' || scrolls === 'scroll') && canMove(element, dx, dy)) return { node: element, box: element };
		element = element.parentElement ?? (element.getRootNode() instanceof doc.defaultView.ShadowRoot ? element.getRootNode().host : null);
	}
	return null;
}

function canMove(box, dx, dy) {
	const downs = box.scrollHeight - box.clientHeight;
	const rights = box.scrollWidth - box.clientWidth;
	return dy < 0 && box.scrollTop > 0 || dy > 0 && box.scrollTop < downs - 1 || dx < 0 && box.scrollLeft > 0 || dx > 0 && box.scrollLeft < rights - 1;
}
