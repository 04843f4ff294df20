'use strict';
'require view';
'require form';
'require network';

/* Names that are offered; others can be typed, and patterns such as veth*. */
const NAME = /^[A-Za-z0-9_.:@-]{1,15}\*?$/;
const PLACE = /^(\d{1,3}(\.\d{1,3}){3}|\[[0-9A-Fa-f:.]+\]):(\d{1,5})$/;
const USER = /^[^:\s]+:[a-z]+:\S+$/;
const TOKEN = /^[a-z]+:\S{16,}$/;
const KEY = /^[^\s:]{1,64}$/;
const ORIGIN = /^https?:\/\/[^\s\/]+$/;
const FOLDER = /^(off|\/\S*)$/;
const FILE = /^\/[\w.-]+\/[\w.\/-]*[\w.-]$/;
const LISTEN = /^(unix:\/\/(\/[\w.-]+){2,}|tcp:\/\/(\d{1,3}(\.\d{1,3}){3}|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?)$/;
const SEND = /^(unix:\/\/(\/[\w.-]+){2,}|(tcp|udp|http):\/\/(\d{1,3}(\.\d{1,3}){3}|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?(\/\S*)?)$/;

/* What nobody but the router itself reaches. */
const LOCAL = /^(127\.|\[?::1\]?(:\d+)?$)/;

/* A check of one text; what is empty is checked by whether it may be. */
function matching(pattern, complaint) {
	return (id, value) => !value || pattern.test(value) || complaint;
}

function flag(section, tab, name, title, help, initial) {
	const option = section.taboption(tab, form.Flag, name, title, help);

	option.default = initial;
	option.rmempty = false;

	return option;
}

function whole(section, tab, name, title, help, type, initial) {
	const option = section.taboption(tab, form.Value, name, title, help);

	option.datatype = type;
	option.placeholder = initial;

	return option;
}

function list(section, name, title, help, validate) {
	const option = section.option(form.DynamicList, name, title, help);

	option.validate = validate;

	return option;
}

return view.extend({
	load() {
		return Promise.all([ network.getNetworks(), network.getDevices() ]);
	},

	render([ networks, devices ]) {
		const map = new form.Map('portolan', _('Portolan'),
			_('Who uses the network and what for. Without any interface given the agent picks: bridges and uplinks that carry addresses.'));
		let section, option;

		section = map.section(form.NamedSection, 'main', 'portolan', _('Agent'));
		section.tab('general', _('General'));
		section.tab('limits', _('Limits'));

		flag(section, 'general', 'enabled', _('Enabled'), null, '1');
		flag(section, 'general', 'jail', _('Jail'),
			_('Lock the agent into a jail, where the system has them. Not together with network namespaces.'), '1');
		flag(section, 'general', 'namespaces', _('Network namespaces'),
			_('Follow containers and other network namespaces too.'), '0');
		flag(section, 'general', 'promiscuous', _('Promiscuous'),
			_('Take frames for other machines too.'), '0');

		option = section.taboption('general', form.ListValue, 'log_level', _('Log'));
		option.value('0', _('errors'));
		option.value('1', _('warnings'));
		option.value('2', _('normal'));
		option.value('3', _('more'));
		option.value('4', _('everything'));
		option.default = '2';

		option = section.taboption('general', form.Value, 'socket_group', _('Group'),
			_('Users of this group may ask the agent by its Unix socket.'));
		option.datatype = 'uciname';
		option.placeholder = 'root';

		whole(section, 'limits', 'ring_kib', _('Ring'),
			_('KiB of the ring of packets of an interface; 0 fits it to the memory.'), 'or(0,range(64,65536))', '0');
		whole(section, 'limits', 'snaplen', _('Snapshot length'),
			_('Octets of each frame that are looked at.'), 'range(64,65535)', '1600');
		whole(section, 'limits', 'flows_max', _('Flows'),
			_('Flows at once; 0 fits them to the memory.'), 'or(0,range(64,2000000))', '0');
		whole(section, 'limits', 'flows_idle', _('Idle flows'),
			_('Seconds of silence that end a flow.'), 'range(1,86400)', '30');
		whole(section, 'limits', 'flows_idle_tcp', _('Idle TCP connections'),
			_('Seconds of silence that end a TCP connection.'), 'range(1,86400)', '300');
		whole(section, 'limits', 'update_interval', _('Statistics'),
			_('Seconds between two statistics.'), 'range(1,86400)', '15');

		section = map.section(form.TableSection, 'capture', _('Interfaces'),
			_('Interfaces to watch. Without any the agent picks them itself.'));
		section.anonymous = true;
		section.addremove = true;
		section.addbtntitle = _('Add an interface');

		option = section.option(form.Flag, 'enabled', _('Enabled'));
		option.default = '1';
		option.rmempty = false;

		option = section.option(form.Value, 'interface', _('Interface'));
		option.rmempty = false;
		option.validate = (id, value) => NAME.test(value) || _('The name of a network such as lan, or of a device such as eth0');
		for (const name of new Set([ ...networks, ...devices ].map(known => known.getName())))
			if (name != 'loopback' && name != 'lo' && NAME.test(name))
				option.value(name);

		option = section.option(form.ListValue, 'role', _('Role'));
		option.value('', _('found out'));
		option.value('lan', _('local network'));
		option.value('wan', _('Internet'));
		option.optional = true;

		section = map.section(form.NamedSection, 'management', 'management', _('Management port'),
			_('The UDP port for scripts: ask it by <code>portolan ctl</code>.'));

		option = section.option(form.Flag, 'enabled', _('Enabled'));
		option.default = '1';
		option.rmempty = false;

		option = section.option(form.Value, 'address', _('Address'),
			_('Beyond 127.0.0.1 a key of your own is needed.'));
		option.datatype = 'ipaddr("nomask")';
		option.placeholder = '127.0.0.1';

		option = section.option(form.Value, 'port', _('Port'));
		option.datatype = 'and(port,min(1))';
		option.placeholder = '5644';

		option = section.option(form.Value, 'password', _('Key'),
			_('Needed for every change.'));
		option.password = true;
		option.validate = function(id, value) {
			const address = this.section.formvalue(id, 'address');

			if (!value && address && !LOCAL.test(address))
				return _('Beyond 127.0.0.1 a key of your own is needed.');

			return !value || KEY.test(value) || _('1 to 64 characters without blanks and colons');
		};

		option = section.option(form.Flag, 'read_key', _('Key for reading too'));
		option.default = '0';

		section = map.section(form.NamedSection, 'http', 'http', _('HTTP'),
			_('The map, the packets and their programs. Beyond the router itself a user or a token is needed.'));

		option = section.option(form.Flag, 'enabled', _('Enabled'));
		option.default = '1';
		option.rmempty = false;

		list(section, 'listen', _('Addresses'), _('Address and port each, such as 192.168.1.1:8082.'),
			function(id, value) {
				const found = PLACE.exec(value || '');
				const given = name => [ this.section.formvalue(id, name) ].flat().some(known => known);

				if (found && !LOCAL.test(value) && !given('user') && !given('token'))
					return _('Beyond the router itself a user or a token is needed');

				return !value || (found != null && +found[3] > 0 && +found[3] < 65536) ||
					_('An address with a port, such as 192.168.1.1:8082 or [fd00::1]:8082');
			});
		list(section, 'user', _('Users'), _('As name:role:hash; the hash comes from <code>portolan --hash-password</code>.'),
			matching(USER, _('name:role:hash')));
		list(section, 'token', _('Tokens'), _('As role:token.'),
			matching(TOKEN, _('role:token, where the token has 16 characters or more')));
		list(section, 'host', _('Host names'), _('Names by which browsers may reach the agent.'));
		list(section, 'origin', _('Origins'), _('Web pages elsewhere that may use the agent.'),
			matching(ORIGIN, _('An origin such as https://ui.lan')));

		section = map.section(form.NamedSection, 'packets', 'packets', _('Live packets'));
		section.tab('general', _('General'));
		section.tab('files', _('Files'));
		section.tab('tcp', _('PCAP-over-IP'));

		whole(section, 'general', 'sessions', _('Sessions'),
			_('Sessions at once; 0 allows none.'), 'range(0,64)', '2');
		whole(section, 'general', 'ring_kib', _('Ring'),
			_('KiB of memory of a session.'), 'range(128,65536)', '1024');
		whole(section, 'general', 'lookback_kib', _('Past'),
			_('KiB of memory for the latest packets of each interface; 0 keeps none.'), 'or(0,range(64,1048576))', '0');
		flag(section, 'general', 'names', _('Names'),
			_('Learn the names of hosts from DNS and DHCP.'), '1');

		option = section.taboption('files', form.Value, 'dir', _('Folder'),
			_('Where packets are recorded; empty records none. Not on flash memory, please.'));
		option.placeholder = 'off';
		option.validate = matching(FOLDER, _('An absolute path, or off'));
		whole(section, 'files', 'file_kib', _('Size of a file'),
			_('KiB of a file at most.'), 'range(64,4194304)', '8192');
		whole(section, 'files', 'files', _('Files'),
			_('Files of one recording at most.'), 'range(1,100)', '2');

		section.taboption('tcp', form.DynamicList, 'pcap_over_ip', _('Addresses'),
			_('Streams packets to whoever connects: an address with a port, and what is wanted, such as 127.0.0.1:57012 nif=br-lan.'));
		option = section.taboption('tcp', form.DynamicList, 'pcap_over_ip_from', _('From'),
			_('Networks, besides this router, from which that is allowed.'));
		option.datatype = 'ipaddr';

		section = map.section(form.NamedSection, 'detection', 'detection', _('What flows are'),
			_('Rules of your own for applications: files in <code>/etc/portolan/applications.d</code>.'));
		section.tab('general', _('General'));
		section.tab('names', _('Names'));
		section.tab('limits', _('Limits'));

		option = section.taboption('general', form.ListValue, 'conntrack', _('Address translation'),
			_('Where it is known from.'));
		option.value('auto', _('found out'));
		option.value('netlink', 'netlink');
		option.value('procfs', 'procfs');
		option.value('off', _('off'));
		option.default = 'auto';

		flag(section, 'general', 'sockets', _('Sockets'),
			_('Show sockets of the router and their processes; not in a jail.'), '0');
		flag(section, 'general', 'flow_hashes', _('Remember flows'),
			_('Flows that come again are known at once.'), '1');

		flag(section, 'names', 'dns_hints', _('Names from DNS'),
			_('Answers of DNS name hosts elsewhere.'), '1');
		flag(section, 'names', 'dns_hint_partial', _('Only as a last resort'),
			_('Such a name tells the application only where a flow shows no name itself.'), '0');

		option = section.taboption('names', form.ListValue, 'dns_hint_save', _('Keep them'),
			_('Where these names are kept between two starts.'));
		option.value('volatile', _('in memory'));
		option.value('persistent', _('on flash'));
		option.value('disabled', _('nowhere'));
		option.default = 'volatile';

		whole(section, 'limits', 'packets', _('Packets'),
			_('Packets of a flow that are looked at; 0 looks at none.'), 'range(0,255)', '24');
		whole(section, 'limits', 'flows', _('Flows'),
			_('Flows that are looked at at once.'), 'range(16,65536)', '2048');
		whole(section, 'limits', 'kib', _('Streams'),
			_('KiB of streams that are put together for that.'), 'range(16,65536)', '1024');
		whole(section, 'limits', 'dns_hint_size', _('Names from DNS'),
			_('Names kept.'), 'range(64,4096)', '4096');
		whole(section, 'limits', 'flow_hash_size', _('Remembered flows'),
			_('Flows that are known at once when they come again.'), 'range(64,65536)', '4096');

		section = map.section(form.NamedSection, 'names', 'names', _('Devices'),
			_('Where the names of devices are read, besides what is seen of them.'));

		list(section, 'lease_file', _('Leases'), _('Files of DHCP servers, or folders of such files.'),
			matching(FOLDER, _('An absolute path, or off')));
		list(section, 'hosts_file', _('Names'), _('Files as /etc/hosts and /etc/ethers, or folders of such files.'),
			matching(FOLDER, _('An absolute path, or off')));

		option = section.option(form.Value, 'offline', _('Offline'),
			_('Seconds of silence after which a device is offline.'));
		option.datatype = 'range(1,86400)';
		option.placeholder = '300';

		section = map.section(form.NamedSection, 'telemetry', 'telemetry', _('Telemetry'),
			_('Flows as Netify\'s records. Nobody is told anything unless it stands here.'));
		section.tab('general', _('General'));
		section.tab('what', _('What is told'));
		section.tab('file', _('File'));

		flag(section, 'general', 'enabled', _('Enabled'), null, '1');

		for (const [name, title, help, pattern] of [
			['listen', _('Fetched'), _('Where it is fetched, a JSON object a line, such as tcp://127.0.0.1:7151.'), LISTEN],
			['legacy', _('Fetched as of old'), _('Where it is fetched as of Netify 3 and 4.'), LISTEN],
			['send', _('Sent'), _('Where it is sent, such as udp://192.168.1.10:9000 or http://192.168.1.10:8080/flows.'), SEND]
		]) {
			option = section.taboption('general', form.DynamicList, name, title, help);
			option.validate = matching(pattern, _('unix:///PATH, or tcp://ADDRESS:PORT and the like, without names'));
		}

		option = section.taboption('general', form.ListValue, 'format', _('Form'),
			_('How it is written where it is sent, and into the file.'));
		option.value('lines', _('JSON lines'));
		option.value('legacy', _('as of Netify 3 and 4'));
		option.default = 'lines';

		option = section.taboption('what', form.DynamicList, 'types', _('Records'));
		option.value('stream-flows', _('flows'));
		option.value('stream-stats', _('statistics'));

		option = section.taboption('what', form.Value, 'filter', _('Condition'),
			_('Only flows of which this is true, such as other_type == remote; empty tells all.'));
		flag(section, 'what', 'established', _('Flows that are there'),
			_('Whoever comes to fetch it is told the flows that are there.'), '1');

		option = section.taboption('file', form.Value, 'log', _('File'),
			_('In a folder of its own; empty writes none. Not on flash memory, please.'));
		option.placeholder = '/tmp/telemetry/flows.json';
		option.validate = matching(FILE, _('An absolute path in a folder of its own'));
		whole(section, 'file', 'log_kib', _('Size of a file'),
			_('KiB of a file at most.'), 'range(64,4194304)', '1024');
		whole(section, 'file', 'log_files', _('Files'),
			_('Such files at most.'), 'range(1,100)', '4');

		section = map.section(form.NamedSection, 'privacy', 'privacy', _('Privacy'),
			_('What telemetry does not tell.'));

		option = section.option(form.DynamicList, 'mac', _('Devices'), _('Hardware addresses that are masked.'));
		option.datatype = 'macaddr';
		option = section.option(form.DynamicList, 'host', _('Hosts'), _('Addresses and networks that are masked.'));
		option.datatype = 'ipaddr';
		option = section.option(form.Flag, 'external', _('Addresses of the router'),
			_('Mask its addresses towards the Internet.'));
		option.default = '0';

		section = map.section(form.TableSection, 'replace', _('Replaced texts'),
			_('Patterns of texts in telemetry, and what they are replaced by; $1 is what stands in parentheses.'));
		section.anonymous = true;
		section.addremove = true;
		section.addbtntitle = _('Add a pattern');

		option = section.option(form.Value, 'search', _('Pattern'));
		option.rmempty = false;
		section.option(form.Value, 'with', _('Replaced by'));

		return map.render();
	}
});
