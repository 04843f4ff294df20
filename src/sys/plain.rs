#![allow(unsafe_code)]
//! A packet socket without a ring, for kernels that lack TPACKET_V3 or the memory for it: frames
//! are copied out in batches by `recvmmsg`, and the control data says what the ring's frame
//! header would (packet(7), PACKET_AUXDATA).

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use crate::sys::capture::{Config, Drained, Error, Kind, RawFrame, Statistics};
use crate::sys::{capture, ring, socket};
use crate::wire::link::VlanTag;

/// Frames taken by one system call.
const BATCH: usize = 32;

/// The longest piece kept of a frame: the batch is memory that stays.
const MAX_KEPT: u32 = 4_096;

/// SO_TIMESTAMPNS_OLD and SO_TIMESTAMPNS_NEW of asm/socket.h. The new ones, since Linux 5.1, have
/// 64-bit fields everywhere; the old ones have those of a `long`.
const STAMPS: libc::c_int = 35;
const STAMPS_64: libc::c_int = 64;

/// Room for the control messages of one frame: auxiliary data, a stamp of two 64-bit values.
const CONTROL_WORDS: usize = 16;

const _: () = assert!(size_of::<libc::tpacket_auxdata>() == 20);
const _: () = assert!(size_of::<libc::tpacket_stats>() == 8);

/// An open packet socket with room for one batch.
#[derive(Debug)]
pub struct Plain {
    fd: OwnedFd,
    /// `BATCH` pieces of `size` bytes.
    buffer: Box<[u8]>,
    size: usize,
    batch: Box<[Meta; BATCH]>,
    /// The next frame of the batch.
    next: usize,
    /// Frames in the batch.
    filled: usize,
}

/// What is known of a frame in the batch besides its bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Meta {
    captured: usize,
    wire_len: u32,
    sec: u32,
    nsec: u32,
    vlan: Option<VlanTag>,
    protocol: u16,
    kind: u8,
    ifindex: u32,
    status: u32,
}

impl Plain {
    /// Opens a packet socket and binds it last.
    ///
    /// # Errors
    ///
    /// The step that failed.
    pub fn open(config: &Config<'_>) -> Result<Self, Error> {
        let kind = ring::socket_kind(config);
        let fd = socket::open(libc::AF_PACKET, kind, 0).map_err(Error::at("socket"))?;
        socket::set(fd.as_fd(), libc::SOL_PACKET, libc::PACKET_AUXDATA, &1)
            .map_err(Error::at("auxiliary data"))?;
        socket::set(fd.as_fd(), libc::SOL_SOCKET, STAMPS_64, &1)
            .or_else(|_| socket::set(fd.as_fd(), libc::SOL_SOCKET, STAMPS, &1))
            .map_err(Error::at("time stamps"))?;
        // Best effort: what the ring would have held, as far as the system lets us.
        let room = config.block_size.saturating_mul(config.blocks);
        let room = libc::c_int::try_from(room).unwrap_or(libc::c_int::MAX);
        if socket::set(fd.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &room).is_err() {
            let _ = socket::set(fd.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, &room);
        }
        ring::finish(&fd, config)?;
        let size = usize::try_from(config.snaplen.clamp(64, MAX_KEPT)).unwrap_or(64);
        Ok(Self {
            fd,
            buffer: vec![0; size.saturating_mul(BATCH)].into_boxed_slice(),
            size,
            batch: Box::new([Meta::default(); BATCH]),
            next: 0,
            filled: 0,
        })
    }

    /// Hands out up to `budget` frames, at most [`capture::BATCH`] of them at a time.
    pub fn drain(&mut self, budget: u32, mut f: impl FnMut(&[RawFrame<'_>])) -> Drained {
        let mut frames = 0_u32;
        while frames < budget {
            if self.next >= self.filled && !self.fill() {
                return Drained { frames, more: false };
            }
            let left = usize::try_from(budget.saturating_sub(frames)).unwrap_or(usize::MAX);
            let metas = self.batch.get(self.next..self.filled).unwrap_or_default();
            let pieces = self.buffer.chunks_exact(self.size).skip(self.next);
            let mut room = [RawFrame::EMPTY; capture::BATCH];
            let mut count = 0_usize;
            for (place, (meta, piece)) in room.iter_mut().zip(metas.iter().zip(pieces)).take(left) {
                *place = RawFrame {
                    wall: ring::stamp(meta.sec, meta.nsec),
                    nanos: meta.nsec,
                    data: piece.get(..meta.captured).unwrap_or_default(),
                    wire_len: meta.wire_len,
                    vlan: meta.vlan,
                    protocol: meta.protocol,
                    kind: Kind(meta.kind),
                    ifindex: meta.ifindex,
                    checksum: ring::checksum(meta.status),
                    losing: false,
                };
                count = count.saturating_add(1);
            }
            f(room.get(..count).unwrap_or_default());
            self.next = self.next.saturating_add(count);
            frames = frames.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        }
        Drained { frames, more: true }
    }

    /// Reads the kernel's loss counters, which starts them again from zero.
    ///
    /// # Errors
    ///
    /// None that can be mended.
    pub fn statistics(&self) -> io::Result<Statistics> {
        statistics(self.fd.as_fd())
    }

    /// The pending error of the socket; reading clears it.
    ///
    /// # Errors
    ///
    /// `ENETDOWN` after the interface went down or away.
    pub fn error(&self) -> io::Result<()> {
        socket::take_error(self.fd.as_fd())
    }

    /// Bytes of the batch.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.buffer.len()
    }

    /// Fetches the next batch; false when there is none. An error of the socket is also "none
    /// now": [`Self::error`] and netlink tell what became of the interface.
    fn fill(&mut self) -> bool {
        self.next = 0;
        self.filled = 0;
        // SAFETY: these are C structures of integers and pointers, for which zero is valid.
        let (mut headers, mut pieces, mut senders) = unsafe {
            (
                zeroed::<[libc::mmsghdr; BATCH]>(),
                zeroed::<[libc::iovec; BATCH]>(),
                zeroed::<[libc::sockaddr_ll; BATCH]>(),
            )
        };
        let mut controls = [[0_u64; CONTROL_WORDS]; BATCH];
        let parts = self.buffer.chunks_exact_mut(self.size);
        let parts = parts.zip(&mut pieces).zip(&mut senders).zip(&mut controls);
        for (header, (((part, piece), sender), control)) in headers.iter_mut().zip(parts) {
            piece.iov_base = part.as_mut_ptr().cast();
            piece.iov_len = part.len();
            header.msg_hdr.msg_iov = piece;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = std::ptr::from_mut(sender).cast();
            header.msg_hdr.msg_namelen = socket::len_of::<libc::sockaddr_ll>();
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = size_of::<[u64; CONTROL_WORDS]>() as _;
        }
        let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        let received = socket::retry(|| {
            // SAFETY: each header points at one piece of the buffer, one address and one control
            // area, all of which outlive the call and are not touched meanwhile.
            socket::check(unsafe {
                libc::recvmmsg(
                    self.fd.as_raw_fd(),
                    headers.as_mut_ptr(),
                    BATCH as _,
                    flags as _,
                    std::ptr::null_mut(),
                )
            })
        });
        let Ok(received) = received else {
            return false;
        };
        self.filled = usize::try_from(received).unwrap_or(0).min(BATCH);
        let filled = headers.iter().zip(&senders).take(self.filled);
        for (meta, (header, sender)) in self.batch.iter_mut().zip(filled) {
            *meta = Meta {
                captured: usize::try_from(header.msg_len).unwrap_or(0).min(self.size),
                wire_len: header.msg_len,
                protocol: u16::from_be(sender.sll_protocol),
                kind: sender.sll_pkttype,
                ifindex: u32::try_from(sender.sll_ifindex).unwrap_or(0),
                ..Meta::default()
            };
            read_control(&header.msg_hdr, meta);
        }
        self.filled > 0
    }
}

impl AsFd for Plain {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Plain {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// The loss counters of a socket without a ring.
pub(super) fn statistics(fd: BorrowedFd<'_>) -> io::Result<Statistics> {
    let read: libc::tpacket_stats = socket::get(fd, libc::SOL_PACKET, libc::PACKET_STATISTICS)?;
    Ok(Statistics { packets: read.tp_packets, drops: read.tp_drops, freezes: 0 })
}

/// Takes stamp, tag and original length from the control messages of one frame.
fn read_control(header: &libc::msghdr, meta: &mut Meta) {
    // SAFETY: the header describes a control area that the kernel has just filled and that is
    // still alive in the caller.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !next.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return null or a whole header in the area.
        let control = unsafe { &*next };
        // SAFETY: as above; the data begins right behind the header.
        let (data, empty) = unsafe { (libc::CMSG_DATA(next), libc::CMSG_LEN(0)) };
        let len = (control.cmsg_len as usize).saturating_sub(empty as usize);
        match (control.cmsg_level, control.cmsg_type) {
            (libc::SOL_PACKET, libc::PACKET_AUXDATA)
                if len >= size_of::<libc::tpacket_auxdata>() =>
            {
                // SAFETY: the message holds at least one such structure of integers.
                let aux = unsafe { data.cast::<libc::tpacket_auxdata>().read_unaligned() };
                meta.wire_len = aux.tp_len;
                meta.status = aux.tp_status;
                let tci = u32::from(aux.tp_vlan_tci);
                meta.vlan = ring::vlan(aux.tp_status, tci, aux.tp_vlan_tpid);
            }
            // Old stamps have either length.
            (libc::SOL_SOCKET, STAMPS | STAMPS_64) if len >= size_of::<[i64; 2]>() => {
                // SAFETY: the message holds at least two 64-bit values.
                let [sec, nsec] = unsafe { data.cast::<[i64; 2]>().read_unaligned() };
                meta.sec = u32::try_from(sec).unwrap_or(0);
                meta.nsec = u32::try_from(nsec).unwrap_or(0);
            }
            (libc::SOL_SOCKET, STAMPS) if len >= size_of::<[u32; 2]>() => {
                // SAFETY: the message holds at least two 32-bit values. Unsigned, seconds last
                // until 2106, as those of the ring.
                let [sec, nsec] = unsafe { data.cast::<[u32; 2]>().read_unaligned() };
                (meta.sec, meta.nsec) = (sec, nsec);
            }
            _ => {}
        }
        // SAFETY: `next` is a header of this area.
        next = unsafe { libc::CMSG_NXTHDR(header, next) };
    }
}
