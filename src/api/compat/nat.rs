//! What the kernel's connection tracking says of a flow, in the members of Netify's `flow` record:
//! `ip_nat` always, `conntrack` where its number is known, and how the flow looks on the other
//! side of a translation in a member of our own.

use crate::conntrack::Found;
use crate::core::row::Row;
use crate::flow::Record;

/// Adds them to a row.
pub fn extend(row: &mut Row, record: &Record, found: Option<Found<'_>>) {
    row.push("ip_nat", found.is_some_and(|found| found.is_translated()));
    if record.is_offloaded {
        row.push("offloaded", true);
    }
    let Some(found) = found else { return };
    // All of its members or none, says Netify's schema: procfs does not tell the number.
    if let Some(id) = found.id() {
        let ((src, src_port), (dst, dst_port)) = found.reply();
        row.push(
            "conntrack",
            Row::new()
                .with("id", id)
                .with("mark", found.mark())
                .with("reply_src_ip", src.to_string())
                .with("reply_src_port", src_port)
                .with("reply_dst_ip", dst.to_string())
                .with("reply_dst_port", dst_port),
        );
    }
    if found.is_translated() {
        let ((opener, opener_port), (server, server_port)) = found.other_side();
        row.push(
            "nat",
            Row::new()
                .with("opener_ip", opener.to_string())
                .with("opener_port", opener_port)
                .with("server_ip", server.to_string())
                .with("server_port", server_port),
        );
    }
}
