'use strict';
'require view';
'require poll';
'require portolan.common as common';

const { el, rows, number, octets, rate, span, table, section, lines, failure, fill } = common;

/* Devices on this page. */
const SHOWN = 20;

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
		[ _('Name'), _('Addresses'), _('Hardware address'), _('Interfaces'), _('Received'), _('Sent'), _('State') ],
		found.map(row => [
			texts(named(row)),
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
			lines([ row.key, hints.get(String(row.key).toLowerCase()) ].filter(text => text)),
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

return view.extend({
	/* An agent that is not there is shown as such, and looked for again. */
	load() {
		const all = [
			common.status(), common.interfaces(), common.devices(SHOWN),
			common.top('host', 'bytes', 10), common.groups(), common.hints()
		];

		return Promise.all(all.map(call => call.then(value => ({ value }), error => ({ error }))));
	},

	parts([ status, links, who, top, known, hints ]) {
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
			part(known, _('Address groups'), groups)
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
