// The LuCI pages, run in node with a small stand-in for the browser and for LuCI:
//   node tests/luci.mjs [PORTOLAN [SOCKET]]
// E() does here what LuCI's does: a lone string becomes HTML, a string in a list becomes text.
// Whatever would become HTML is noted, so a name off the network that gets there fails the test.
// With the path of the program its list of methods is held against what the pages call, and with
// the socket of an agent that watches `va` the pages show what that one says.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const app = join(dirname(fileURLToPath(import.meta.url)), '../openwrt/luci-app-portolan');
const resources = join(app, 'htdocs/luci-static/resources');
const [program, socket] = process.argv.slice(2);
const HOSTILE = '<img src=x onerror="alert(1)">\'"&';

// The browser.

class Text {
	constructor(text) {
		assert.doesNotMatch(text, /^\[object|^undefined$|^null$|NaN/);
		this.textContent = text;
	}
}

class Element {
	constructor(tag) {
		this.tag = tag;
		this.childNodes = [];
		this.attributes = {};
		this.listeners = {};
		this.value = '';
	}

	get firstChild() {
		return this.childNodes[0] ?? null;
	}

	appendChild(child) {
		assert(child instanceof Element || child instanceof Text, `no node in <${this.tag}>: ${child}`);
		this.childNodes.push(child);
		return child;
	}

	removeChild(child) {
		this.childNodes = this.childNodes.filter(known => known !== child);
	}

	get textContent() {
		return this.childNodes.map(child => child.textContent).join('');
	}

	all(tag) {
		const below = this.childNodes.filter(child => child instanceof Element);
		return [...below.filter(child => child.tag == tag), ...below.flatMap(child => child.all(tag))];
	}
}

String.prototype.format = function (...values) {
	return this.replace(/%(%|s|d)/g, (whole, kind) => {
		if (kind == '%')
			return '%';

		const value = values.shift();
		return kind == 'd' ? String(Math.trunc(+value)) : String(value);
	});
};

// LuCI: what is taken for HTML is collected in `html`.

function world(answers, { host = '192.168.1.1', writes = true } = {}) {
	const html = [], calls = [], polls = [], notes = [];

	const E = (tag, attributes, children) => {
		const element = new Element(tag);
		const set = attributes && typeof attributes == 'object' && !Array.isArray(attributes);

		for (const [name, value] of Object.entries(set ? attributes : {})) {
			if (typeof value == 'function')
				element.listeners[name] = value;
			else if (value !== null && value !== undefined)
				element.attributes[name] = String(value);
		}

		const content = set || children !== undefined ? children : attributes;

		if (Array.isArray(content))
			for (const child of content)
				element.appendChild(child instanceof Element ? child : new Text(String(child)));
		else if (content instanceof Element)
			element.appendChild(content);
		else if (content !== null && content !== undefined)
			html.push(String(content));

		return element;
	};

	const rpc = {
		declare: ({ object, method, params = [], expect }) => async (...values) => {
			const given = Object.fromEntries(params.map((name, at) => [name, values[at]]));
			calls.push({ object, method, given: JSON.parse(JSON.stringify(given)) });
			const told = answers[`${object}.${method}`];
			const answer = typeof told == 'function' ? told(calls.at(-1)) : told;

			if (answer instanceof Error)
				throw answer;

			if (expect && (answer === null || typeof answer != 'object'))
				return Object.values(expect)[0];

			return structuredClone(answer);
		}
	};

	const modules = {
		baseclass: { extend: members => members },
		view: { extend: members => members },
		rpc,
		poll: { add: (call, seconds) => polls.push({ call, seconds }) },
		ui: {
			addNotification: (title, node) => notes.push(node.textContent),
			createHandlerFn: (self, call) => () => call.call(self)
		},
		network: {
			getNetworks: async () => ['loopback', 'lan', 'wan'].map(name => ({ getName: () => name })),
			getDevices: async () => ['lo', 'br-lan', HOSTILE].map(name => ({ getName: () => name }))
		},
		form: forms()
	};
	const L = { hasViewPermission: () => writes, url: path => `/luci/${path}` };
	const location = { hostname: host };

	const load = name => {
		if (modules[name])
			return modules[name];

		const source = readFileSync(join(resources, `${name.replace(/\./g, '/')}.js`), 'utf8');
		const wanted = [...source.matchAll(/^'require ([\w.]+)(?: as (\w+))?';$/gm)];
		const names = wanted.map(([, path, alias]) => alias ?? path);
		const code = new Function('E', 'L', '_', 'location', ...names, source);
		modules[name] = code(E, L, text => text, location, ...wanted.map(([, path]) => load(path)));
		return modules[name];
	};

	return { load, html, calls, polls, notes, forms: modules.form.made };
}

// Forms remember what they were made of.
function forms() {
	const made = [];

	class Option {
		constructor(kind, name, title, help) {
			Object.assign(this, { kind, name, title, help, choices: [] });
		}

		value(key, title) {
			this.choices.push([key, title]);
		}
	}

	class Section {
		constructor(kind, name, type) {
			Object.assign(this, { kind, name, type, options: [], tabs: [] });
		}

		tab(name) {
			this.tabs.push(name);
		}

		option(kind, ...rest) {
			const option = new Option(kind, ...rest);
			option.section = this;
			this.options.push(option);
			return option;
		}

		/* What has been typed into another field of the section. */
		formvalue(id, name) {
			return this.typed?.[name];
		}

		taboption(tab, ...rest) {
			assert(this.tabs.includes(tab), `no tab ${tab}`);
			return this.option(...rest);
		}
	}

	class Map {
		constructor(config) {
			Object.assign(this, { config, sections: [] });
			made.push(this);
		}

		section(kind, name, type) {
			const section = new Section(kind, name, type);
			this.sections.push(section);
			return section;
		}

		async render() {
			return new Element('form');
		}
	}

	const kinds = ['NamedSection', 'TableSection', 'Flag', 'Value', 'ListValue', 'DynamicList'];
	return { made, Map, ...Object.fromEntries(kinds.map(kind => [kind, kind])) };
}

// What the agent says, with a hostile text wherever one can come from the network.

const interfaces = (bytes = 1000) => ({
	interfaces: [
		{ dev: 'br-lan', kind: 'bridge', mac: '02:00:00:00:00:01', state: 'up', role: 'lan',
		  rx_bytes: bytes, tx_bytes: 2 * bytes, capturing: true, addresses: ['192.168.1.1/24'] },
		{ dev: HOSTILE, kind: 'veth', state: HOSTILE, role: 'other', rx_bytes: 0, tx_bytes: 0,
		  capturing: false, capture: HOSTILE, addresses: [HOSTILE] },
		{ dev: 'lo', kind: 'loopback', state: 'up', role: 'other', rx_bytes: 5, tx_bytes: 5,
		  capturing: false, addresses: ['127.0.0.1/8'] }
	],
	total: 3, more: false
});

const usual = () => ({
	'portolan.status': {
		version: HOSTILE, uptime: 93784, flow_count: 7, flows_max: 1000, memrss_kb: 3072,
		clients: 1, emergency: true, default_password: true, counters: { kernel_drops: 3 },
		capture: [{ dev: HOSTILE, capturing: false, state: HOSTILE }]
	},
	'portolan.interfaces': interfaces(),
	'portolan.devices': {
		devices: [{ macaddr: '02:00:00:00:00:02', names: [HOSTILE], addresses: ['192.168.1.7'],
		            interfaces: ['br-lan'], states: ['reachable'], rx_bytes: 5 * 1024 * 1024,
		            tx_bytes: 10, router: false, last_seen: 5 }],
		total: 1, more: true
	},
	'portolan.top': { top: [{ rank: 1, key: '192.168.1.7', tx_bytes: 1, rx_bytes: 2, flows: 3, share: 625 },
	                        { rank: 2, key: HOSTILE, tx_bytes: 1, rx_bytes: 2, flows: 3, share: 1 }] },
	'portolan.groups': { groups: [{ name: HOSTILE, total: 2, saved: true }] },
	'portolan.flows': {
		flows: [
			{ interface: 'br-lan', protocol_name: 'udp', local_ip: '192.168.1.7', local_port: 1,
			  other_ip: '2001:db8::1', other_port: 53, local_bytes: 1, other_bytes: 2,
			  total_bytes: 3, state: 'new' },
			{ interface: HOSTILE, protocol_name: HOSTILE, local_ip: HOSTILE, local_port: 80,
			  other_ip: '', other_mac: HOSTILE, other_port: 0, local_bytes: 4096, other_bytes: 0,
			  total_bytes: 4096, state: HOSTILE }
		],
		total: 2, more: true
	},
	'portolan.packet_capture': {
		http: [{ address: '127.0.0.1', port: 8082, any: false, local: true },
		       { address: '192.168.1.1', port: 8083, any: false, local: false }],
		path: '/capture.pcapng'
	},
	'portolan.sessions': { rows: [{ id: 9, devs: HOSTILE, filter: HOSTILE, by: HOSTILE, pkts: 1,
	                                bytes: 2, drops: 0, state: 'streaming' }] },
	'portolan.captures': { rows: [{ id: 'c1', dev: 'br-lan', filter: HOSTILE, pkts: 1, bytes: 2,
	                                drops: 0, state: 'running' }] },
	'portolan.capture_start': { id: 'c2' },
	'portolan.capture_stop': { id: 'c1' },
	'portolan.session_stop': { id: 9 },
	'luci-rpc.getHostHints': {
		'02:00:00:00:00:02': { name: HOSTILE + '2', ipaddrs: ['192.168.1.7'], ip6addrs: [] },
		'02:00:00:00:00:03': {}
	}
});

async function shown(name, there) {
	const view = there.load(`view.portolan.${name}`);
	return { view, page: await view.render(await view.load()) };
}

function safe(there, page) {
	assert.deepEqual(there.html, [], 'something was given to E() as HTML');

	for (const link of page.all('a'))
		assert.match(link.attributes.href, /^(http:\/\/[^/]+\/capture\.pcapng\?|\/luci\/admin\/status\/portolan\/captures$)/);
}

const READS = /^(status|interfaces|devices|top|flows|flow|groups|captures|sessions|packet_capture|getHostHints)$/;

const tests = {
	async 'hostile names are text on every page'() {
		for (const name of ['status', 'flows', 'captures']) {
			const there = world(usual());
			const { page } = await shown(name, there);
			safe(there, page);
			assert(page.textContent.includes(HOSTILE), `${name} leaves it out`);

			for (const { call } of there.polls)
				await call();

			safe(there, page);
		}
	},

	async 'looking changes nothing'() {
		for (const name of ['status', 'flows', 'captures', 'settings']) {
			const there = world(usual());
			await shown(name, there);

			for (const { call } of there.polls)
				await call();

			for (const { method } of there.calls)
				assert.match(method, READS, name);
		}
	},

	async 'the overview shows names, figures and warnings'() {
		const there = world(usual());
		const { page } = await shown('status', there);
		const text = page.textContent;

		for (const part of ['7 of at most 1000', '1 d 2 h', '3.0 MiB', '5.0 MiB', '62.5 %', 'nearly full',
		                    'everybody knows', '02:00:00:00:00:02', HOSTILE + '2'])
			assert(text.includes(part), `${part} is missing in ${text}`);

		assert(!text.includes('127.0.0.1/8'), 'nobody wants to see lo');
		assert(page.all('td').filter(cell => 'data-title' in cell.attributes).length > 20);
	},

	async 'rates are differences over time'() {
		const answers = usual();
		const there = world(answers);
		const now = Date.now;
		let clock = 1_000_000;
		Date.now = () => clock;

		try {
			const { page } = await shown('status', there);
			assert(!page.textContent.includes('bit/s'));
			answers['portolan.interfaces'] = interfaces(1000 + 1_250_000);
			clock += 5000;
			await there.polls[0].call();
			assert(page.textContent.includes('2.0 Mbit/s'), page.textContent);
			answers['portolan.interfaces'] = interfaces(10);
			clock += 5000;
			await there.polls[0].call();
			assert(!page.textContent.includes('-'.concat('1')), 'a counter that starts over has no rate');
		}
		finally {
			Date.now = now;
		}
	},

	async 'an agent that is not there is said once and looked for again'() {
		const answers = usual();
		const gone = { error: 'the agent does not answer', hint: 'start it' };

		for (const name in answers)
			if (name.startsWith('portolan.'))
				answers[name] = gone;

		const there = world(answers);
		const { page } = await shown('status', there);
		assert.equal(page.textContent.split('the agent does not answer: start it').length, 2);
		Object.assign(answers, usual());
		await there.polls[0].call();
		assert(!page.textContent.includes('does not answer'));

		for (const name of ['flows', 'captures']) {
			const there = world({ ...usual(), 'portolan.flows': gone, 'portolan.packet_capture': gone });
			assert((await shown(name, there)).page.textContent.includes('does not answer'), name);
		}
	},

	async 'one call that fails leaves the rest of the page'() {
		const there = world({ ...usual(), 'portolan.top': new Error('ubus code 7'), 'portolan.groups': null });
		const { page } = await shown('status', there);
		assert(page.textContent.includes('ubus code 7'));
		assert(page.textContent.includes('02:00:00:00:00:02'));
	},

	async 'answers of a strange shape do not break a page'() {
		for (const strange of [{}, { interfaces: 1, devices: {}, flows: 'x', rows: [null, 1], http: 5 }]) {
			const answers = usual();

			for (const name in answers)
				answers[name] = strange;

			for (const name of ['status', 'flows', 'captures'])
				await shown(name, world(answers));
		}
	},

	async 'flows are selected by what is typed, the busiest first'() {
		const there = world(usual());
		const { view, page } = await shown('flows', there);
		const text = page.textContent;
		assert(text.indexOf('4.0 KiB') < text.indexOf('[2001:db8::1]:53'), text);
		view.wanted.host.value = ' 192.168.1.7 ';
		view.wanted.port.value = '443';
		await there.polls[0].call();
		const { given } = there.calls.filter(call => call.method == 'flows').at(-1);
		assert.deepEqual(given, { host: '192.168.1.7', port: '443', n: 200 });
	},

	async 'packets are a link where HTTP is reachable and a line for ssh always'() {
		const there = world(usual());
		const { view, page } = await shown('captures', there);
		view.fields.dev.value = 'br-lan';
		view.fields.filter.value = "host 1.2.3.4 and not port 22 $(reboot) 'x'";
		view.fields.count.value = '10';
		view.offer();
		const url = new URL(page.all('a')[0].attributes.href);
		assert.equal(url.origin, 'http://192.168.1.1:8083');
		assert.equal(url.searchParams.get('filter'), view.fields.filter.value);
		assert.equal(url.searchParams.get('nif'), 'br-lan');
		safe(there, page);

		// Both shells, the one here and the one on the router, must give the words back.
		const line = page.all('pre')[0].textContent;
		const here = execFileSync('sh', ['-c', `ssh() { printf '%s' "$2"; }; ${line.replace(/ \| wireshark.*/, '')}`]);
		const words = execFileSync('sh', ['-c', `portolan() { printf '%s\\n' "$@"; }; ${here}`]);
		assert.deepEqual(String(words).trimEnd().split('\n'),
			['capture', '-i', 'br-lan', '-c', '10', '-w', '-', view.fields.filter.value]);
	},

	async 'without HTTP beyond the router there is no link'() {
		const answers = usual();
		answers['portolan.packet_capture'].http.pop();
		const { page } = await shown('captures', world(answers));
		assert.equal(page.all('a').length, 0);
		assert(page.textContent.includes('ssh root@192.168.1.1'));
	},

	async 'an address of any kind is reached by the name that the browser uses'() {
		const answers = usual();
		answers['portolan.packet_capture'].http = [{ address: '::', port: 8082, any: true, local: false }];
		const { page } = await shown('captures', world(answers, { host: '[fd00::1]' }));
		assert(page.all('a')[0].attributes.href.startsWith('http://[fd00::1]:8082/capture.pcapng?'));
		assert(page.textContent.includes('ssh root@fd00::1 '));
	},

	async 'buttons call what they say, and not for those who may only look'() {
		const there = world(usual());
		const { page } = await shown('captures', there);
		const stops = page.all('button').filter(button => button.textContent == 'Stop');
		assert.equal(stops.length, 2);

		for (const stop of stops)
			await stop.listeners.click();

		const written = there.calls.filter(call => !READS.test(call.method));
		assert.deepEqual(written.map(({ method, given }) => [method, given]),
			[['session_stop', { id: 9 }], ['capture_stop', { id: 'c1' }]]);

		const reader = world(usual(), { writes: false });
		const buttons = (await shown('captures', reader)).page.all('button');
		assert(buttons.length > 0 && buttons.every(button => button.attributes.disabled));
	},

	async 'a refusal is shown'() {
		const there = world({ ...usual(), 'portolan.capture_start': { error: HOSTILE } });
		const { page } = await shown('captures', there);
		await page.all('button')[0].listeners.click();
		assert.deepEqual(there.notes, [HOSTILE]);
		safe(there, page);
	},

	async 'the form has each option of the configuration'() {
		const there = world(usual());
		await shown('settings', there);
		const [map] = there.forms;
		assert.equal(map.config, 'portolan');
		const sections = map.sections.map(section =>
			[section.name, section.options.map(option => option.name).sort().join(' ')]);
		assert.deepEqual(Object.fromEntries(sections), {
			main: 'enabled flows_idle flows_idle_tcp flows_max jail log_level namespaces promiscuous ring_kib snaplen socket_group update_interval',
			capture: 'enabled interface role',
			management: 'address enabled password port read_key',
			http: 'enabled host listen origin token user',
			packets: 'dir file_kib files lookback_kib names pcap_over_ip pcap_over_ip_from ring_kib sessions',
			detection: 'conntrack dns_hint_partial dns_hint_save dns_hint_size dns_hints flow_hash_size flow_hashes flows kib packets sockets',
			names: 'hosts_file lease_file offline',
			telemetry: 'enabled established filter format legacy listen log log_files log_kib send types',
			privacy: 'external host mac',
			replace: 'search with'
		});
		const password = option(map, 'management', 'password');
		assert.equal(password.password, true);
		assert.deepEqual(option(map, 'capture', 'interface').choices.map(([name]) => name), ['lan', 'wan', 'br-lan']);
	},

	async 'the form refuses what the agent would'() {
		const there = world(usual());
		await shown('settings', there);
		const [map] = there.forms;
		const check = (section, name, value) => option(map, section, name).validate('x', value) === true;

		for (const [section, name, good, bad] of [
			['capture', 'interface', ['lan', 'eth0.1', 'wlan0-1', 'veth*'], ['', 'a b', '*a', '*', '../x', 'a'.repeat(16), HOSTILE]],
			['management', 'password', ['', 'n2n', 'ä-'], ['a b', 'a:b', 'x'.repeat(65)]],
			['http', 'listen', ['', '127.0.0.1:8082', '[::1]:80'], ['8082', '127.0.0.1', '127.0.0.1:0', '127.0.0.1:70000', 'fd00::1:80']],
			['http', 'user', ['', 'me:admin:$pbkdf2$1'], ['me', 'me:admin', 'me:admin:a b']],
			['http', 'token', ['', 'read:0123456789abcdef'], ['read:short', '0123456789abcdef0']],
			['http', 'origin', ['', 'https://ui.lan', 'http://ui.lan:81'], ['ui.lan', 'https://ui.lan/x', 'javascript:alert(1)']],
			['packets', 'dir', ['', 'off', '/tmp/packets'], ['packets', '../tmp', '/tmp/a b']],
			['names', 'lease_file', ['', 'off', '/tmp/dhcp.leases'], ['leases', '../tmp', '/tmp/a b']],
			['telemetry', 'listen', ['', 'tcp://127.0.0.1:7151', 'tcp://[::1]', 'unix:///var/run/a/b.sock'],
				['7151', 'udp://127.0.0.1:1', 'tcp://router:1', 'unix://a', 'unix:///a b/c', HOSTILE]],
			['telemetry', 'send', ['', 'udp://192.168.1.2:9', 'http://192.168.1.2:80/in?a=b', 'unix:///tmp/a/b'],
				['https://192.168.1.2/', 'http://host/', 'udp://', HOSTILE]],
			['telemetry', 'log', ['', '/tmp/telemetry/flows.json'], ['flows.json', '/flows.json', '/tmp/', '/tmp/a b/c']]
		]) {
			for (const value of good)
				assert(check(section, name, value), `${name} refuses ${value}`);

			for (const value of bad)
				assert(!check(section, name, value), `${name} takes ${value}`);
		}

		// The agent would not start with a door beyond the router and no key to it.
		const sections = Object.fromEntries(map.sections.map(section => [section.name, section]));
		const typed = (section, values) => sections[section].typed = values;
		typed('management', { address: '192.168.1.1' });
		assert(!check('management', 'password', '') && check('management', 'password', 'secret'));
		typed('management', { address: '127.0.0.1' });
		assert(check('management', 'password', ''));

		for (const place of ['192.168.1.1:8082', '0.0.0.0:8082', '[fd00::1]:8082']) {
			typed('http', { user: [], token: null });
			assert(!check('http', 'listen', place), place);
			typed('http', { user: ['me:admin:x'] });
			assert(check('http', 'listen', place), place);
		}

		typed('http', {});
		assert(check('http', 'listen', '[::1]:8082') && check('http', 'listen', '127.0.0.2:8082'));
	},

	'the menu leads to pages that are there'() {
		const menu = JSON.parse(readFileSync(join(app, 'root/usr/share/luci/menu.d/luci-app-portolan.json')));
		const views = Object.values(menu).filter(entry => entry.action.type == 'view');
		const files = readdirSync(join(resources, 'view/portolan')).map(name => `portolan/${name.replace('.js', '')}`);
		assert.deepEqual(views.map(entry => entry.action.path).sort(), files.sort());

		const acl = JSON.parse(readFileSync(join(app, 'root/usr/share/rpcd/acl.d/luci-app-portolan.json')));
		assert.deepEqual(Object.values(menu).flatMap(entry => entry.depends?.acl ?? []), Object.keys(acl));
	},

	async 'the access list grants what the pages call, writes to writers alone'() {
		const there = world(usual());
		const declared = [];
		const { rpc } = { rpc: there.load('rpc') };
		const declare = rpc.declare;
		rpc.declare = options => (declared.push(options), declare(options));
		there.load('portolan.common');

		const acl = JSON.parse(readFileSync(join(app, 'root/usr/share/rpcd/acl.d/luci-app-portolan.json')));
		const { read, write } = acl['luci-app-portolan'];
		assert(read.uci.includes('portolan') && write.uci.includes('portolan'));

		for (const { object, method } of declared) {
			const part = READS.test(method) ? read : write;
			assert(part.ubus[object]?.includes(method), `${object} ${method} is not granted`);
		}

		for (const method of read.ubus.portolan)
			assert.match(method, READS);

		if (!program)
			return console.log('skipped: the methods of the program: give its path');

		const methods = JSON.parse(execFileSync(program, ['rpcd', 'list']));

		for (const { method, params = [] } of declared.filter(call => call.object == 'portolan')) {
			assert(methods[method], `the program has no ${method}`);

			for (const name of params)
				assert(name in methods[method], `${method} does not take ${name}`);
		}
	},

	async 'a running agent fills the pages'() {
		if (!socket)
			return console.log('skipped: a running agent: give the program and the socket');

		const ask = ({ method, given }) => JSON.parse(execFileSync(program, ['rpcd', 'call', method], {
			input: JSON.stringify({ ...given, ubus_rpc_session: '0' }),
			env: { PORTOLAN_SOCKET: socket }
		}));
		const answers = Object.fromEntries(Object.keys(usual()).map(name => [name, name.startsWith('portolan.') ? ask : {}]));
		const page = async name => (await shown(name, world(answers))).page;

		for (const [name, parts] of [
			['status', ['va', '10.99.0.1/24', '02:00:00:00:00:0b', '10.99.0.2', 'guests']],
			['flows', ['10.99.0.2:1000', 'udp', 'va']],
			['captures', ['ssh root@192.168.1.1', 'Nobody is watching packets', 'There are no captures']]
		]) {
			const text = (await page(name)).textContent;

			for (const part of parts)
				assert(text.includes(part), `${name} has no ${part}: ${text}`);
		}

		const there = world(answers);
		const { view, page: captures } = await shown('captures', there);
		const named = text => captures.all('button').filter(button => button.textContent == text);
		view.fields.dev.value = 'va';
		view.fields.filter.value = 'udp port 9';
		await named('Capture for the map')[0].listeners.click();
		assert.deepEqual(there.notes, []);
		assert(captures.textContent.includes('udp port 9'), captures.textContent);
		await named('Stop')[0].listeners.click();
		assert.deepEqual(there.notes, []);
		assert(captures.textContent.includes('There are no captures'), captures.textContent);
		view.fields.filter.value = 'no filter (';
		await named('Capture for the map')[0].listeners.click();
		assert.equal(there.notes.length, 1);
	},

	'every text is in the template of translations and nothing else is'() {
		const texts = new Set();

		for (const name of ['portolan/common', ...readdirSync(join(resources, 'view/portolan')).map(name => `view/portolan/${name.replace('.js', '')}`)]) {
			const source = readFileSync(join(resources, `${name}.js`), 'utf8');
			const found = [...source.matchAll(/\b_\('((?:[^'\\]|\\.)*)'\)/g)];
			assert.equal(found.length, source.split(/\b_\(/).length - 1, `${name} has a text that cannot be found`);
			found.forEach(([, text]) => texts.add(text.replace(/\\'/g, "'")));
		}

		const menu = JSON.parse(readFileSync(join(app, 'root/usr/share/luci/menu.d/luci-app-portolan.json')));
		Object.values(menu).forEach(entry => texts.add(entry.title));
		const acl = JSON.parse(readFileSync(join(app, 'root/usr/share/rpcd/acl.d/luci-app-portolan.json')));
		Object.values(acl).forEach(entry => texts.add(entry.description));

		for (const [file, whole] of [['templates/portolan.pot', false], ['de/portolan.po', true]]) {
			const entries = messages(readFileSync(join(app, 'po', file), 'utf8'));
			assert.deepEqual([...entries.keys()].sort(), [...texts].sort(), file);

			for (const [id, text] of entries) {
				assert(!whole || text != '', `${file} has nothing for ${id}`);
				const marks = given => (given.match(/%[sd%]|<[^>]*>/g) ?? []).join();
				assert(!whole || marks(id) == marks(text), `${file}: ${id} differs in its marks`);
			}
		}
	}
};

function option(map, section, name) {
	const found = map.sections.find(known => known.name == section);
	return found.options.find(known => known.name == name);
}

function messages(text) {
	const entries = new Map();

	for (const block of text.split('\n\n')) {
		const found = /^msgid (".*")\nmsgstr (".*")$/m.exec(block);

		if (found && found[1] != '""')
			entries.set(JSON.parse(found[1]), JSON.parse(found[2]));
	}

	return entries;
}

let failed = 0;

for (const [name, test] of Object.entries(tests)) {
	try {
		await test();
		console.log(`ok: ${name}`);
	}
	catch (error) {
		failed++;
		console.log(`FAILED: ${name}\n${error.stack}`);
	}
}

process.exit(failed ? 1 : 0);
