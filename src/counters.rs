//! Every loss and every limit that was hit, in one struct with names: loss is allowed, silent
//! loss is not. `status`, the UDP rows and the exporters print from [`Counters::iter`].

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// Totals since the start of the process.
        #[derive(Clone, Debug, Default)]
        pub struct Counters {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        impl Counters {
            /// Name and value of each counter, in the order of their declaration.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),+].into_iter()
            }
        }
    };
}

counters! {
    /// Frames taken from rings or files.
    packets,
    /// Their bytes on the wire, link header included.
    bytes,
    /// Frames lost by the kernel because a ring was full (PACKET_STATISTICS tp_drops).
    kernel_drops,
    /// Times a ring froze because user space was late (tp_freeze_q_cnt).
    ring_freezes,
    /// Frames of which no network layer could be read.
    decode_errors,
    /// Frames cut short by the snap length or by a lying length field.
    decode_truncated,
    /// Frames with more encapsulations or extension headers than are followed.
    decode_limit,
    /// Frames that are not IP (ARP, spanning tree, LLDP, ...).
    not_ip,
    /// Fragments that could not be attributed to a first fragment.
    fragments_orphaned,
    /// Flows created.
    flows_created,
    /// Flows that ended (any reason, evictions included).
    flows_ended,
    /// Flows thrown out before their time because the table was full.
    flows_evicted,
    /// Packets that found the table full and nothing to evict: counted, not tracked.
    flow_table_full,
    /// Times the table entered emergency ageing.
    emergencies,
    /// Seconds spent in emergency ageing.
    emergency_seconds,
    /// Capture sockets opened again after an interface vanished or returned.
    capture_reopens,
    /// Interfaces that could not be captured (no memory, no permission, limits).
    capture_refused,
    /// Flows of on-demand captures thrown out before their time because there are too many.
    capture_flows_evicted,
    /// Packets and decoded messages of such flows not kept because those that are take up all the
    /// memory there is for them.
    capture_packets_unkept,
    /// Fragmented datagrams of such captures that were never put together.
    capture_datagrams_lost,
    /// Frames of such captures in which no layer was found.
    capture_frames_unread,
    /// Packet sessions that were begun.
    packet_sessions,
    /// Packet sessions that were refused, for whatever reason.
    packet_sessions_refused,
    /// Packets that the kernel lost for packet sessions.
    packet_session_drops,
    /// Packets of interfaces that no memory was left for to remember them in.
    lookback_refused,
    /// Recordings of packets that broke off because a file could not be written.
    packet_files_failed,
    /// Flows that were looked at to see what they are.
    detection_begun,
    /// Of these, named by their payload.
    detection_named,
    /// Of these, named by their port alone.
    detection_guessed,
    /// Looks that ended early because there were too many at once.
    detection_displaced,
    /// Segments that were not put together because too much was.
    detection_unassembled,
    /// Names of hosts that gave way to others.
    names_forgotten,
    /// Messages with names of hosts that were not read because there were too many.
    names_unread,
    /// Devices that gave way to others.
    devices_forgotten,
    /// Devices that were not kept because too many came at once.
    devices_refused,
    /// Names and traces of devices that there was no memory for.
    device_traces_unkept,
    /// Events of devices that found too many waiting.
    device_news_dropped,
    /// Full dumps made because netlink messages were lost.
    netlink_resyncs,
    /// Dumps of connections made again because messages were lost.
    conntrack_resyncs,
    /// Connections that there was no room for.
    conntrack_refused,
    /// Nodes, edges and changes of them that the graph had no room for.
    graph_refused,
    /// Entries of interfaces that the map had no room for: addresses, neighbours, routes.
    topology_left_out,
    /// Network namespaces beyond those that are followed.
    namespaces_refused,
    /// Things that scans for capture targets had no room or no permission for.
    discovery_left_out,
    /// Nodes that were not captured because too many captures are on too many nodes.
    captures_refused,
    /// Edges that rules did not draw because there were too many.
    rule_edges_refused,
    /// News of flows of captures that found too many waiting.
    flow_news_dropped,
    /// Datagrams for other collectors that were not sent.
    exports_dropped,
    /// Messages of alerts that were not posted because too many waited.
    alerts_dropped,
    /// Records of telemetry that consumers lost because they were slow or away.
    telemetry_dropped,
    /// Stream clients accepted.
    clients_accepted,
    /// Stream clients turned away or closed to make room.
    clients_refused,
    /// Stream clients closed because they did not read or did not finish.
    client_timeouts,
    /// Event records dropped because a subscriber was slow.
    client_drops,
    /// Stream requests that could not be parsed or were too large.
    requests_bad,
    /// Requests answered, over all interfaces.
    requests,
    /// Wrong passwords.
    auth_failures,
    /// HTTP requests refused because of the name they were sent to.
    http_refused_host,
    /// HTTP requests refused because of the web page they came from.
    http_refused_origin,
    /// HTTP requests refused for want of a credential or a right.
    http_refused_auth,
    /// HTTP requests and WebSocket frames that break the rules of their protocol.
    http_refused_parse,
    /// HTTP requests refused because they are too large, too slow or too many.
    http_refused_limit,
    /// Datagrams that came in on the management port.
    udp_received,
    /// Datagrams that went out of it.
    udp_sent,
    /// Datagrams on the management port that are no request.
    udp_bad,
    /// Datagrams answered by silence because of a rate limit.
    udp_rate_limited,
    /// Management replies that could not be sent.
    udp_lost,
    /// Failed writes of saved state.
    persist_errors,
    /// Steps of the wall clock by more than a minute.
    clock_steps,
    /// Log lines suppressed by the rate limit.
    log_suppressed,
    /// Turns of the loop.
    turns,
}
