'use strict';
'require view';
'require poll';
'require ui';
'require portolan.common as common';

const { el, rows, number, octets, table, section, failure, complain, fill, quoted } = common;

const BRACKETS = /^\[|\]$/g;

/* The name of this router, as the browser knows it. */
function router() {
	return location.hostname.replace(BRACKETS, '');
}

/* Where this browser reaches the agent's HTTP; null if that answers on the router alone. */
function reachable(doors, host) {
	const door = doors.find(door => door.any) || doors.find(door => door.address == host) ||
		doors.find(door => !door.local);

	if (!door)
		return null;

	const name = door.any || door.address == host ? host : String(door.address);

	return '%s:%d'.format(name.includes(':') ? '[%s]'.format(name) : name, number(door.port));
}

function link(place, wanted) {
	const words = new URLSearchParams();

	for (const [ name, value ] of [ [ 'nif', wanted.dev ], [ 'filter', wanted.filter ],
	                                [ 'duration', wanted.duration ], [ 'count', wanted.count ] ])
		if (value)
			words.set(name, value);

	return 'http://%s/capture.pcapng?%s'.format(place, words.toString());
}

function command(host, wanted) {
	const words = [ 'portolan', 'capture' ];

	if (wanted.dev)
		words.push('-i', wanted.dev);

	if (wanted.duration)
		words.push('--duration', wanted.duration);

	if (wanted.count)
		words.push('-c', wanted.count);

	words.push('-w', '-');

	if (wanted.filter)
		words.push(wanted.filter);

	/* Two shells read it: the one here, then the one on the router. */
	return 'ssh root@%s %s | wireshark -k -i -'.format(quoted(host), quoted(words.map(quoted).join(' ')));
}

return view.extend({
	load() {
		const all = [ common.link(), common.interfaces(), common.sessions(100), common.captures(100) ];

		return Promise.all(all.map(call => call.then(value => ({ value }), error => ({ error }))));
	},

	wish() {
		const wish = {};

		for (const name in this.fields)
			wish[name] = this.fields[name].value.trim();

		return wish;
	},

	/* What the fields come to, as a link and as a line for a shell. */
	offer() {
		const wish = this.wish();
		const parts = [];

		if (this.place) {
			parts.push(el('p', {}, el('a', {
				'class': 'btn cbi-button cbi-button-action',
				'href': link(this.place, wish),
				'target': '_blank',
				'rel': 'noopener noreferrer'
			}, _('Download packets'))));

			parts.push(el('p', {}, _('The agent asks for a user or a token of its own. Without a duration or a number of packets the download goes on until it is cancelled.')));
		}
		else {
			parts.push(el('p', {}, _('The agent answers HTTP on the router alone, so packets are fetched by ssh. To download them here, add an address of the router and a user to its settings.')));
		}

		parts.push(el('p', {}, _('In a shell on your computer:')));
		parts.push(el('pre', { 'style': 'white-space:pre-wrap;overflow-wrap:anywhere' }, command(router(), wish)));

		fill(this.offered, parts);
	},

	act(call) {
		return call.then(() => this.refresh(), complain);
	},

	button(text, style, action) {
		return el('button', {
			'class': 'btn cbi-button cbi-button-%s'.format(style),
			'disabled': L.hasViewPermission() ? null : 'disabled',
			'click': ui.createHandlerFn(this, action)
		}, text);
	},

	running([ , , sessions, captures ]) {
		const told = sessions.error ? section(_('Sessions of live packets'), failure(sessions.error))
			: section(_('Sessions of live packets'), table(
				[ _('Interfaces'), _('Filter'), _('Client'), _('Packets'), _('Size'), _('Lost'), _('State'), '' ],
				rows(sessions.value, 'rows').map(row => [
					row.devs, row.filter, row.by, String(number(row.pkts)), octets(row.bytes),
					String(number(row.drops)), row.state,
					this.button(_('Stop'), 'negative', () => this.act(common.session_stop(row.id)))
				]),
				_('Nobody is watching packets')));

		const kept = captures.error ? section(_('Captures for the map'), failure(captures.error))
			: section(_('Captures for the map'), table(
				[ _('Interface'), _('Filter'), _('Packets'), _('Size'), _('Lost'), _('State'), '' ],
				rows(captures.value, 'rows').map(row => [
					row.dev || row.query, row.filter, String(number(row.pkts)), octets(row.bytes),
					String(number(row.drops)), row.state,
					this.button(_('Stop'), 'negative', () => this.act(common.capture_stop(row.id)))
				]),
				_('There are no captures')));

		return [ told, kept ];
	},

	refresh() {
		return this.load().then(answers => fill(this.page, this.running(answers)));
	},

	render(answers) {
		const [ facts, links ] = answers;

		if (facts.error)
			return el('div', {}, el('h2', {}, _('Portolan')), failure(facts.error));

		const names = rows(links.value, 'interfaces').map(row => row.dev);

		this.place = reachable(rows(facts.value, 'http'), router());
		this.fields = {};
		this.offered = el('div', {});
		this.page = el('div', {}, this.running(answers));

		const field = (name, title, node) => {
			this.fields[name] = node;

			return el('div', { 'class': 'cbi-value' },
				el('label', { 'class': 'cbi-value-title' }, title),
				el('div', { 'class': 'cbi-value-field' }, node));
		};

		const text = hint => el('input', {
			'class': 'cbi-input-text',
			'type': 'text',
			'placeholder': hint,
			'input': () => this.offer()
		});

		const choice = el('select', { 'class': 'cbi-input-select', 'change': () => this.offer() },
			el('option', { 'value': '' }, _('every interface')),
			names.map(name => el('option', { 'value': name }, name)));

		const form = section(_('Packets'),
			field('dev', _('Interface'), choice),
			field('filter', _('Filter'), text('not port 22')),
			field('duration', _('Duration'), text('30s')),
			field('count', _('Number of packets'), text('1000')),
			this.offered,
			this.button(_('Capture for the map'), 'add', () => {
				const wish = this.wish();

				return this.act(common.capture_start(wish.dev, wish.filter));
			}));

		this.offer();
		poll.add(() => this.refresh(), 5);

		return el('div', {}, el('h2', {}, _('Portolan')), form, this.page);
	},

	handleSaveApply: null,
	handleSave: null,
	handleReset: null
});
