'use strict';
'require view';
'require poll';
'require portolan.common as common';

const { el, rows, number, octets, table, section, lines, failure, fill } = common;

/* Flows that are asked for at once; the agent says if there are more. */
const ASKED = 200;

function end(ip, port, mac) {
	const address = ip && String(ip).includes(':') ? '[%s]'.format(ip) : (ip || mac || '–');

	return number(port) ? '%s:%d'.format(address, port) : address;
}

function list(answer, hints) {
	const side = (ip, port, mac) => {
		/* Not by hardware address: behind that of a router there are many hosts. */
		return lines([ end(ip, port, mac), hints.get(String(ip).toLowerCase()) ].filter(text => text));
	};
	const found = rows(answer, 'flows')
		.sort((a, b) => number(b.total_bytes) - number(a.total_bytes));

	return section(_('Flows'),
		answer.more ? el('p', {}, _('There are more flows than these: narrow the selection.')) : null,
		table(
			[ _('Interface'), _('Protocol'), _('Here'), _('There'), _('Sent'), _('Received'), _('State') ],
			found.map(row => [
				row.interface,
				row.protocol_name,
				side(row.local_ip, row.local_port, row.local_mac),
				side(row.other_ip, row.other_port, row.other_mac),
				octets(row.local_bytes),
				octets(row.other_bytes),
				row.state
			]),
			_('There are no flows')));
}

return view.extend({
	ask() {
		const wanted = [ 'dev', 'proto', 'host', 'port' ].map(name => {
			const value = this.wanted ? this.wanted[name].value.trim() : '';

			return value == '' ? undefined : value;
		});

		return Promise.all([ common.flows(...wanted, ASKED), common.hints() ])
			.then(([ value, hints ]) => ({ value, hints }), error => ({ error }));
	},

	load() {
		return this.ask();
	},

	show(answer) {
		fill(this.page, answer.error ? failure(answer.error) : list(answer.value, answer.hints));
	},

	render(answer) {
		const refresh = () => this.ask().then(answer => this.show(answer));

		const input = (name, title, hint) => {
			const field = el('input', {
				'class': 'cbi-input-text',
				'type': 'text',
				'name': name,
				'placeholder': hint,
				'style': 'min-width:0;max-width:100%',
				'change': refresh
			});

			this.wanted[name] = field;

			return el('label', { 'style': 'display:inline-block;margin:0 1em .5em 0' }, title, ' ', field);
		};

		this.wanted = {};
		this.page = el('div', {});

		const selection = el('div', { 'class': 'cbi-section' },
			input('dev', _('Interface'), 'br-lan'),
			input('proto', _('Protocol'), 'tcp'),
			input('host', _('Host'), '192.168.1.0/24'),
			input('port', _('Port'), '443'));

		this.show(answer);
		poll.add(refresh, 5);

		return el('div', {}, el('h2', {}, _('Portolan')), selection, this.page);
	},

	handleSaveApply: null,
	handleSave: null,
	handleReset: null
});
