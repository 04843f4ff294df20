'use strict';
'require view';
'require poll';
'require portolan.common as common';

const { el, rows, number, octets, rate, span, table, section, lines, failure, fill } = common;

/* Devices on this page. */
const SHOWN = 20;

/* Flows that are asked for, and the busiest of them that are shown. */
const ASKED = 100;
const TOP = 10;

function agent(status) {
	const lost = number(status.counters ? status.counters.kernel_drops : 0);
	const facts = [
		[ _('Version'), status.version ],
		[ _('Running for'), span(status.uptime) ],
		[ _('Flows'), _('%d of at most %d').format(number(status.flow_count), number(status.flows_max)) ],
		[ _('Memory'), octets(number(status.memrss_kb) * 1024) ],
		[ _('Packets lost'), String(lost) ],
		[ _('Clients'), String(number(status.clients)) ]
	];

	const table = el('table', { 'class': 'table' }, facts.map(([ name, value ]) =>
		el('tr', { 'class': 'tr' },
			el('td', { 'class': 'td left', 'width': '33%' }, name),
			el('td', { 'class': 'td left' }, value))));

	const notes = [];

	if (status.emergency)
		notes.push(_('The table of flows is nearly full: old flows are let go early.'));

	if (status.default_password)
		notes.push(_('The key for changes on the management port is the one that everybody knows: set another one.'));

	for (const port of rows(status, 'capture'))
		if (!port.capturing && port.dev)
			notes.push('%s: %s'.format(port.dev, port.state || _('not watched')));

	return section(_('Agent'), table, notes.map(note =>
		el('div', { 'class': 'alert-message warning' }, note)));
}

function interfaces(answer, rates, now) {
	const found = rows(answer, 'interfaces').filter(row => row.kind != 'loopback' || row.capturing);

	return section(_('Interfaces'), table(
		[ _('Name'), _('Role'), _('State'), _('Addresses'), _('Receives'), _('Sends'), _('Received'), _('Sent'), _('Watched') ],
		found.map(row => [
			row.dev,
			row.role == 'other' ? '–' : row.role,
			row.state,
			lines(Array.isArray(row.addresses) ? row.addresses : []),
			rate(rates.of(row.dev + ' rx', row.rx_bytes, now)),
			rate(rates.of(row.dev + ' tx', row.tx_bytes, now)),
			octets(row.rx_bytes),
			octets(row.tx_bytes),
			row.capturing ? _('yes') : (row.capture || _('no'))
		]),
		_('There are no interfaces')));
}

function devices(answer, hints) {
	/* The busiest come first. */
	const found = rows(answer, 'devices');
	const named = row => {
		const known = Array.isArray(row.names) ? row.names : [];
		const hint = hints.get(String(row.macaddr).toLowerCase());

		return hint && !known.includes(hint) ? [ hint, ...known ] : known;
	};
	const texts = list => lines(Array.isArray(list) && list.length ? list : [ '–' ]);

	return section(_('Devices'), table(
		[ _('Name'), _('What it is'), _('Addresses'), _('Hardware address'), _('Interfaces'), _('Received'), _('Sent'), _('State') ],
		found.map(row => [
			texts(named(row)),
			texts([ row.kind, row.os, row.vendor ].filter(text => typeof text == 'string' && text)),
			texts(row.addresses),
			row.macaddr,
			texts(row.interfaces),
			octets(row.rx_bytes),
			octets(row.tx_bytes),
			texts(row.states)
		]),
		_('Nobody is known yet')),
		answer.more ? el('p', {}, _('Shown are the %d with most traffic.').format(found.length)) : null);
}

function hosts(answer, hints) {
	return section(_('Who moves most'), table(
		[ _('Host'), _('Sent'), _('Received'), _('Flows'), _('Share') ],
		rows(answer, 'top').map(row => [
			lines([ ...new Set([ row.name, hints.get(String(row.key).toLowerCase()), row.key ]) ].filter(text => text)),
			octets(row.tx_bytes),
			octets(row.rx_bytes),
			String(number(row.flows)),
			'%s %%'.format((number(row.share) / 10).toFixed(1))
		]),
		_('There are no flows')));
}

function groups(answer) {
	return section(_('Address groups'), table(
		[ _('Name'), _('Addresses'), _('Saved') ],
		rows(answer, 'groups').map(row => [
			row.name,
			String(number(row.total)),
			row.saved ? _('yes') : _('no')
		]),
		_('There are no groups')));
}

function captures(answer) {
	const packets = () => el('a', { 'href': L.url('admin/status/portolan/captures') }, _('Download packets'));

	return section(_('Captures'), table(
		[ _('Interface'), _('Filter'), _('Packets'), _('Size'), _('State') ],
		rows(answer, 'rows').map(row => [
			row.dev || row.query,
			row.filter,
			String(number(row.pkts)),
			octets(row.bytes),
			row.state
		]),
		_('There are no captures')), el('p', {}, packets()));
}

/* Of the flows that were asked for; the page of flows selects among all. */
function flows(answer) {
	const found = rows(answer, 'flows').sort((a, b) => number(b.total_bytes) - number(a.total_bytes));
	const end = (ip, port) => {
		const address = ip && String(ip).includes(':') ? '[%s]'.format(ip) : (ip || '–');

		return number(port) ? '%s:%d'.format(address, port) : address;
	};

	return section(_('Flows'), table(
		[ _('Interface'), _('Protocol'), _('Here'), _('There'), _('Sent'), _('Received') ],
		found.slice(0, TOP).map(row => [
			row.interface,
			row.protocol_name,
			end(row.local_ip, row.local_port),
			end(row.other_ip, row.other_port),
			octets(row.local_bytes),
			octets(row.other_bytes)
		]),
		_('There are no flows')),
		answer.more ? el('p', {}, _('There are more flows than these: narrow the selection.')) : null);
}

return view.extend({
	/* An agent that is not there is shown as such, and looked for again. */
	load() {
		const all = [
			common.status(), common.interfaces(), common.devices(SHOWN),
			common.top('host', 'bytes', TOP), common.groups(), common.hints(),
			common.flows(undefined, undefined, undefined, undefined, ASKED), common.captures(20)
		];

		return Promise.all(all.map(call => call.then(value => ({ value }), error => ({ error }))));
	},

	parts([ status, links, who, top, known, hints, talk, taken ]) {
		const now = Date.now();

		/* Without an agent every call fails, and once is enough to say so. */
		if (status.error)
			return [ section(_('Agent'), failure(status.error)) ];

		const part = (answer, title, show) =>
			answer.error ? section(title, failure(answer.error)) : show(answer.value);

		return [
			agent(status.value),
			part(links, _('Interfaces'), answer => interfaces(answer, this.rates, now)),
			part(who, _('Devices'), answer => devices(answer, hints.value)),
			part(top, _('Who moves most'), answer => hosts(answer, hints.value)),
			part(talk, _('Flows'), flows),
			part(known, _('Address groups'), groups),
			part(taken, _('Captures'), captures)
		];
	},

	render(answers) {
		this.rates = new common.Rates();
		this.page = el('div', {}, this.parts(answers));

		poll.add(() => this.load().then(answers => fill(this.page, this.parts(answers))), 5);

		return el('div', {}, el('h2', {}, _('Portolan')), this.page);
	},

	handleSaveApply: null,
	handleSave: null,
	handleReset: null
});
