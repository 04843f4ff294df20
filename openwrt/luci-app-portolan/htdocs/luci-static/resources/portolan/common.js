'use strict';
'require baseclass';
'require rpc';
'require ui';

/*
 * What the pages of this application share: the calls of the agent's ubus object, figures as
 * people read them, and tables.
 *
 * Names of hosts and of groups come from the network. E() takes a lone string for HTML, and a
 * string within a list for text: so everything here goes through el(), which always gives a list.
 */

function el(tag, attributes, ...children) {
	return E(tag, attributes || {}, children.flat(Infinity).filter(child => child != null));
}

/* The agent answers a call that failed with an object that has a member "error". */
function declare(method, params) {
	const call = rpc.declare({ object: 'portolan', method: method, params: params, reject: true });

	return (...values) => call(...values).then(answer => {
		if (!answer || typeof(answer) != 'object')
			throw new Error(_('The agent gave no answer'));

		if (answer.error)
			throw new Error([ answer.error, answer.hint ].filter(text => text).join(': '));

		return answer;
	});
}

/*
 * What the router itself knows of hosts: names by hardware address and by address, from leases and
 * static entries. Without it there is less to show, and no more.
 */
const hostHints = rpc.declare({ object: 'luci-rpc', method: 'getHostHints', expect: { '': {} } });

function hints() {
	return hostHints().catch(() => ({})).then(found => {
		const names = new Map();

		for (const mac in found) {
			const hint = found[mac] || {};

			if (typeof(hint.name) != 'string' || hint.name == '')
				continue;

			for (const key of [ mac, hint.ipaddrs, hint.ip6addrs ].flat())
				if (typeof(key) == 'string')
					names.set(key.toLowerCase(), hint.name);
		}

		return names;
	});
}

/* The rows of an answer, however few came. */
function rows(answer, name) {
	const found = answer ? answer[name] : null;

	return Array.isArray(found) ? found.filter(row => row && typeof(row) == 'object') : [];
}

function number(value) {
	const n = +value;

	return Number.isFinite(n) ? n : 0;
}

function scaled(value, units, step) {
	let n = number(value), unit = 0;

	while (n >= step && unit < units.length - 1) {
		n /= step;
		unit++;
	}

	return '%s %s'.format(unit && n < 100 ? n.toFixed(1) : n.toFixed(0), units[unit]);
}

function octets(value) {
	return scaled(value, [ 'B', 'KiB', 'MiB', 'GiB', 'TiB' ], 1024);
}

function rate(octetsPerSecond) {
	return octetsPerSecond == null
		? '–' : scaled(octetsPerSecond * 8, [ 'bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s' ], 1000);
}

function span(seconds) {
	const s = Math.max(0, Math.floor(number(seconds)));
	const days = Math.floor(s / 86400), hours = Math.floor(s / 3600) % 24;
	const minutes = Math.floor(s / 60) % 60;

	if (days)
		return _('%d d %d h').format(days, hours);

	if (hours)
		return _('%d h %d min').format(hours, minutes);

	return minutes ? _('%d min %d s').format(minutes, s % 60) : _('%d s').format(s);
}

/*
 * A table that folds up on a phone. A cell is a text, a node, or a list of them; an empty list of
 * rows says so.
 */
function table(columns, lines, empty) {
	const head = el('tr', { 'class': 'tr table-titles' },
		columns.map(title => el('th', { 'class': 'th' }, title)));

	const body = lines.map((cells, at) => el('tr', { 'class': 'tr cbi-rowstyle-%d'.format(1 + at % 2) },
		cells.map((cell, column) => el('td', {
			'class': 'td',
			'style': 'overflow-wrap:anywhere',
			'data-title': columns[column]
		}, cell))));

	if (!body.length)
		body.push(el('tr', { 'class': 'tr placeholder' },
			el('td', { 'class': 'td', 'colspan': columns.length }, el('em', {}, empty))));

	return el('table', { 'class': 'table' }, head, body);
}

function section(title, ...children) {
	return el('div', { 'class': 'cbi-section' }, el('h3', {}, title), children);
}

/* A list with each text on a line of its own. */
function lines(texts) {
	return texts.map(text => el('div', {}, text));
}

function failure(error) {
	return el('div', { 'class': 'alert-message warning' },
		el('p', {}, error && error.message ? error.message : String(error)));
}

function complain(error) {
	ui.addNotification(null, el('p', {}, error && error.message ? error.message : String(error)), 'danger');
}

/* Puts children in place of what is there. */
function fill(node, ...children) {
	while (node.firstChild)
		node.removeChild(node.firstChild);

	children.flat(Infinity).forEach(child => node.appendChild(child));
}

/* Octets per second between two looks at counters that may have started over. */
class Rates {
	constructor() {
		this.before = new Map();
	}

	of(name, value, now) {
		const before = this.before.get(name);
		const count = number(value);

		this.before.set(name, { count, now });

		if (!before || now <= before.now || count < before.count)
			return null;

		return (count - before.count) * 1000 / (now - before.now);
	}
}

/* What a shell takes for one word as it stands. */
const PLAIN = /^[A-Za-z0-9_.,:@%+=\/-]+$/;

/* A word for a shell, whatever is in it. */
function quoted(text) {
	return PLAIN.test(text) ? String(text) : "'%s'".format(String(text).split("'").join("'\\''"));
}

return baseclass.extend({
	el, rows, number, octets, rate, span, table, section, lines, failure, complain, fill, quoted,
	Rates, hints,

	status: declare('status'),
	interfaces: declare('interfaces'),
	devices: declare('devices', [ 'n' ]),
	top: declare('top', [ 'of', 'by', 'n' ]),
	flows: declare('flows', [ 'dev', 'proto', 'host', 'port', 'n' ]),
	groups: declare('groups'),
	captures: declare('captures', [ 'n' ]),
	capture_start: declare('capture_start', [ 'dev', 'filter' ]),
	capture_stop: declare('capture_stop', [ 'id' ]),
	sessions: declare('sessions', [ 'n' ]),
	session_stop: declare('session_stop', [ 'id' ]),
	link: declare('packet_capture')
});
