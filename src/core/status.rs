//! The state of the agent at one moment, in plain values: front-ends spell it as their clients
//! expect.

use crate::counters::Counters;
use crate::time::Wall;

use super::row::{Row, Value};

/// What the process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processor time in user mode since the start, seconds.
    pub user_seconds: f64,
    /// The same in the kernel.
    pub system_seconds: f64,
    /// Resident memory now, KiB.
    pub rss_kib: u64,
    /// Its highest, KiB.
    pub peak_rss_kib: u64,
    /// Bytes allocated now, KiB.
    pub heap_kib: u64,
    /// Online processors.
    pub cpus: u32,
    /// Open descriptors.
    pub descriptors: usize,
}

/// What was true at the end of an interval of statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Interval {
    /// What the process used.
    pub usage: Usage,
    /// Flows in the table.
    pub flows: u64,
    /// Flows with packets during the interval.
    pub active: u64,
    /// Flows that ended because they were idle, during the interval.
    pub expired: u64,
    /// Flows that ended for any reason, during the interval.
    pub purged: u64,
}

/// The answer to `status`.
#[derive(Clone, Debug)]
pub struct Status {
    /// Name, version and build in one line.
    pub ident: String,
    /// Wall time.
    pub now: Wall,
    /// Seconds since the start.
    pub uptime: u64,
    /// Seconds between statistics.
    pub update_interval: u32,
    /// What the process uses now.
    pub usage: Usage,
    /// The last complete interval.
    pub last: Interval,
    /// Names kept, if answers of DNS name hosts elsewhere.
    pub dns_hints: Option<usize>,
    /// Flows remembered, if any are.
    pub flow_hashes: Option<usize>,
    /// Devices that are known.
    pub devices: usize,
    /// Flows now.
    pub flows: u64,
    /// Most flows that there may be.
    pub max_flows: u64,
    /// Whether the table is nearly full and short time-outs hold.
    pub emergency: bool,
    /// Subscribers.
    pub subscribers: usize,
    /// Stream clients.
    pub clients: usize,
    /// Longest turn of the loop since the last status, microseconds.
    pub loop_max_us: u64,
    /// The management port's key is the one everybody knows.
    pub default_password: bool,
    /// Groups and addresses in them.
    pub groups: (usize, usize),
    /// Capabilities that the process holds.
    pub capabilities: Vec<String>,
    /// One row per interface that is captured or should be: `dev`, `state`.
    pub capture: Vec<Row>,
    /// Where connections are known from, and how many there are.
    pub connections: Row,
    /// Flows that are looked at to see what they are.
    pub detecting: usize,
    /// Every counter.
    pub counters: Counters,
}

impl Status {
    /// As one flat row for small protocols.
    #[must_use]
    pub fn row(&self) -> Row {
        let millis = (self.usage.user_seconds + self.usage.system_seconds) * 1_000.0;
        Row::new()
            .with("uptime", self.uptime)
            .with("rss", self.usage.rss_kib.saturating_mul(1_024))
            // Seconds of a process are far below the range of u64.
            .with("cpu_ms", millis as u64)
            .with("flows", self.flows)
            .with("flows_total", self.counters.flows_created)
            .with("pkts", self.counters.packets)
            .with("bytes", self.counters.bytes)
            .with("drops", self.counters.kernel_drops)
            .with("subs", self.subscribers)
            .with("clients", self.clients)
            .with("flows_max", self.max_flows)
            .with("emergency", self.emergency)
            .with("loop_max_us", self.loop_max_us)
            .with("conntrack", self.connection("source"))
            .with("offloaded", self.connection("offloaded"))
            .with("management_password", if self.default_password { "default" } else { "set" })
    }

    fn connection(&self, name: &str) -> Value {
        self.connections.get(name).cloned().unwrap_or_else(|| 0_u8.into())
    }
}
