/*
 * The history page: the server has written all of it. This takes the token out of
 * the address, tells times in the reader's time zone, and prints.
 */

const { lang } = document.documentElement;
const token = new URLSearchParams(location.search).get('token');
// Whoever looks over a shoulder, or at the list of visited pages, gets no token.
history.replaceState(null, '', location.pathname);

const times = [...document.querySelectorAll('time')];
const dates = times.map((time) => new Date(time.dateTime));
const sameDay = new Set(dates.map((date) => date.toDateString())).size === 1;
const short = new Intl.DateTimeFormat(lang, { timeStyle: 'medium' });
const long = new Intl.DateTimeFormat(lang, { dateStyle: 'medium', timeStyle: 'medium' });
times.forEach((time, i) => {
	const full = time.closest('.facts') || !sameDay;
	time.textContent = (full ? long : short).format(dates[i]);
	time.title = dates[i].toISOString();
});
const zone = document.getElementById('zone');
zone.textContent = `${zone.dataset.local} (${Intl.DateTimeFormat().resolvedOptions().timeZone})`;

const print = document.getElementById('print');
print.hidden = false;
print.addEventListener('click', () => window.print());

const refresh = document.getElementById('refresh');
if (document.body.dataset.state === 'live' && token) {
	refresh.hidden = false;
	refresh.addEventListener('click', () => location.replace(`${location.pathname}?${new URLSearchParams({ token })}`));
}
