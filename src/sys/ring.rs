#![allow(unsafe_code)]
//! The TPACKET_V3 receive ring of one interface (linux/if_packet.h, and packet_mmap.rst in the
//! kernel's documentation): blocks of frames that the kernel fills and hands over whole.
//!
//! Offsets and lengths in the ring are checked against the mapping each time they are read. A
//! frame borrows its block and a block borrows the ring, so nothing outlives its hand-back.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sys::capture::{BATCH, Config, Drained, Error, Kind, MAX_SNAPLEN, RawFrame, Statistics};
use crate::sys::{process, socket};
use crate::time::Wall;
use crate::wire::link::VlanTag;
use crate::wire::raw::Checksum;

/// Nominal frame size told to the kernel: V3 packs frames densely and only checks the arithmetic.
const FRAME_SIZE: u32 = 2048;

/// TP_STATUS bits, of a block or of a frame.
const STATUS_KERNEL: u32 = 0;
const STATUS_USER: u32 = 1;
const STATUS_LOSING: u32 = 1 << 2;
const STATUS_CHECKSUM_NOT_READY: u32 = 1 << 3;
const STATUS_VLAN_VALID: u32 = 1 << 4;
const STATUS_VLAN_TPID_VALID: u32 = 1 << 6;
const STATUS_CHECKSUM_VALID: u32 = 1 << 7;

/// Start of `struct tpacket_block_desc` with the V1 block header inside it.
#[derive(Clone, Copy)]
#[repr(C)]
struct BlockHeader {
    version: u32,
    offset_to_priv: u32,
    status: u32,
    frames: u32,
    first: u32,
    len: u32,
}

/// Where the block status lies within the block.
const STATUS_OFFSET: usize = 8;

/// `struct tpacket3_hdr` and the `sockaddr_ll` behind it (at 48, `TPACKET_ALIGN` of the header).
#[derive(Clone, Copy)]
#[repr(C)]
struct FrameHeader {
    next: u32,
    sec: u32,
    nsec: u32,
    snaplen: u32,
    len: u32,
    status: u32,
    mac: u16,
    net: u16,
    rxhash: u32,
    vlan_tci: u32,
    vlan_tpid: u16,
    padding: u16,
    padding2: [u8; 8],
    family: u16,
    protocol: [u8; 2],
    ifindex: i32,
    hatype: u16,
    pkttype: u8,
    halen: u8,
}

/// A C structure of integers: any bytes make a valid one.
///
/// # Safety
///
/// Only for types without padding and without invalid bit patterns.
unsafe trait Field: Copy {}

// SAFETY: integers alone, no padding (six u32).
unsafe impl Field for BlockHeader {}
// SAFETY: integers and arrays of bytes, laid out without padding (60 bytes, alignment 4).
unsafe impl Field for FrameHeader {}

const _: () = assert!(size_of::<BlockHeader>() == 24);
const _: () = assert!(size_of::<FrameHeader>() == 60);
const _: () = assert!(size_of::<libc::tpacket_req3>() == 28);
const _: () = assert!(size_of::<libc::tpacket_stats_v3>() == 12);
const _: () = assert!(size_of::<libc::sockaddr_ll>() == 20);
const _: () = assert!(size_of::<libc::packet_mreq>() == 16);
const _: () = assert!(size_of::<libc::sock_filter>() == 8);
const _: () = assert!(size_of::<libc::sock_fprog>() == 2 * size_of::<usize>());

/// An open ring.
#[derive(Debug)]
pub struct Ring {
    map: Mapping,
    fd: OwnedFd,
    block_size: usize,
    blocks: usize,
    /// The block to read next.
    current: usize,
    /// Where reading stopped amid the current block.
    cursor: Option<Cursor>,
}

/// A place within the current block.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    /// Offset of the next frame in the mapping.
    at: usize,
    /// Frames left in the block.
    left: u32,
}

impl Ring {
    /// Opens a packet socket with a ring and binds it last, so that the first frame in the ring
    /// is one of this interface that passed the filter.
    ///
    /// # Errors
    ///
    /// The step that failed.
    pub fn open(config: &Config<'_>) -> Result<Self, Error> {
        let kind = socket_kind(config);
        let fd = socket::open(libc::AF_PACKET, kind, 0).map_err(Error::at("socket"))?;
        let version = libc::tpacket_versions::TPACKET_V3 as libc::c_int;
        socket::set(fd.as_fd(), libc::SOL_PACKET, libc::PACKET_VERSION, &version)
            .map_err(Error::at("ring"))?;
        let page = u32::try_from(process::page_size()).unwrap_or(FRAME_SIZE).max(FRAME_SIZE);
        let block_size = config.block_size.checked_next_multiple_of(page).unwrap_or(page);
        let per_block = block_size / FRAME_SIZE;
        let request = libc::tpacket_req3 {
            tp_block_size: block_size,
            tp_block_nr: config.blocks,
            tp_frame_size: FRAME_SIZE,
            tp_frame_nr: per_block.saturating_mul(config.blocks),
            tp_retire_blk_tov: config.timeout_ms,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        socket::set(fd.as_fd(), libc::SOL_PACKET, libc::PACKET_RX_RING, &request)
            .map_err(Error::at("ring"))?;
        let block_size = usize::try_from(block_size).unwrap_or(usize::MAX);
        let blocks = usize::try_from(config.blocks).unwrap_or(usize::MAX);
        let map =
            Mapping::new(&fd, block_size.saturating_mul(blocks)).map_err(Error::at("ring"))?;
        finish(&fd, config)?;
        Ok(Self { map, fd, block_size, blocks, current: 0, cursor: None })
    }

    /// Whether opening failed for want of rings, not of the interface or of permission.
    #[must_use]
    pub fn is_unsupported(error: &Error) -> bool {
        error.step == "ring"
    }

    /// The oldest block that the kernel has handed over, at the place where reading stopped.
    #[inline]
    pub fn next_block(&mut self) -> Option<Block<'_>> {
        let cursor = match self.cursor.take() {
            Some(cursor) => cursor,
            None => self.enter()?,
        };
        Some(Block { ring: self, cursor })
    }

    /// Hands out up to `budget` frames, at most [`BATCH`] of them at a time.
    #[inline]
    pub fn drain(&mut self, budget: u32, mut f: impl FnMut(&[RawFrame<'_>])) -> Drained {
        let mut left = budget;
        while left > 0 {
            let Some(mut block) = self.next_block() else {
                return Drained { frames: budget.saturating_sub(left), more: false };
            };
            let mut room = [RawFrame::EMPTY; BATCH];
            let most = usize::try_from(left).unwrap_or(BATCH).min(BATCH);
            let count = block.next_frames(room.get_mut(..most).unwrap_or_default());
            left = left.saturating_sub(u32::try_from(count).unwrap_or(0));
            f(room.get(..count).unwrap_or_default());
        }
        Drained { frames: budget, more: true }
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

    /// Bytes of the mapping.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.map.len
    }

    /// Looks whether the kernel has handed over the current block.
    #[inline]
    fn enter(&self) -> Option<Cursor> {
        let start = self.current.saturating_mul(self.block_size);
        if self.map.status(start)?.load(Ordering::Acquire) & STATUS_USER == 0 {
            return None;
        }
        let header: BlockHeader = self.map.field(start)?;
        let first = usize::try_from(header.first).ok()?;
        Some(Cursor { at: start.checked_add(first)?, left: header.frames })
    }

    /// The frame at `cursor`, which then stands at the one behind it.
    #[inline]
    fn frame(&self, cursor: &mut Cursor) -> Option<RawFrame<'_>> {
        cursor.left = cursor.left.checked_sub(1)?;
        let header: Option<FrameHeader> = self.map.field(cursor.at);
        let Some(header) = header else {
            // Nonsense in the ring: the rest of the block can't be found.
            cursor.left = 0;
            return None;
        };
        let start = cursor.at.saturating_add(usize::from(header.mac));
        let len = usize::try_from(header.snaplen).unwrap_or(usize::MAX);
        // Beyond the mapping, on 32 bits beyond all memory: then the next frame is not found there.
        cursor.at = cursor.at.saturating_add(usize::try_from(header.next).unwrap_or(usize::MAX));
        Some(RawFrame {
            wall: stamp(header.sec, header.nsec),
            nanos: header.nsec,
            data: self.map.bytes(start, len).unwrap_or(&[]),
            wire_len: header.len,
            vlan: vlan(header.status, header.vlan_tci, header.vlan_tpid),
            protocol: u16::from_be_bytes(header.protocol),
            kind: Kind(header.pkttype),
            ifindex: u32::try_from(header.ifindex).unwrap_or(0),
            checksum: checksum(header.status),
            losing: header.status & STATUS_LOSING != 0,
        })
    }

    /// Gives the current block back and moves to the next one.
    #[inline]
    fn release(&mut self) {
        let start = self.current.saturating_mul(self.block_size);
        if let Some(status) = self.map.status(start) {
            status.store(STATUS_KERNEL, Ordering::Release);
        }
        self.current = self.current.saturating_add(1);
        if self.current >= self.blocks {
            self.current = 0;
        }
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Some frames that the kernel handed over. Dropped with frames left, it goes on there the next
/// time; dropped after the last one, it goes back to the kernel.
#[derive(Debug)]
pub struct Block<'a> {
    ring: &'a mut Ring,
    cursor: Cursor,
}

impl Block<'_> {
    /// The next frames of this block, as many as there are and fit; how many that is. Lends
    /// them: a frame ends with its block.
    #[inline]
    pub fn next_frames<'s>(&'s mut self, room: &mut [RawFrame<'s>]) -> usize {
        let ring = &*self.ring;
        let mut count = 0_usize;
        for place in room {
            let Some(frame) = ring.frame(&mut self.cursor) else {
                break;
            };
            *place = frame;
            count = count.saturating_add(1);
        }
        count
    }
}

impl Drop for Block<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.cursor.left == 0 {
            self.ring.release();
        } else {
            self.ring.cursor = Some(self.cursor);
        }
    }
}

/// Memory shared with the kernel.
#[derive(Debug)]
struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is shared with the kernel alone; whoever owns this value is the only one
// in the process that reads it or gives blocks back, whichever thread that is on.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(fd: &OwnedFd, len: usize) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { base, len })
    }

    /// Copies a header out of the ring; `None` if it would reach past the mapping.
    #[inline]
    fn field<T: Field>(&self, offset: usize) -> Option<T> {
        let end = offset.checked_add(size_of::<T>())?;
        if end > self.len {
            return None;
        }
        // SAFETY: offset..end lies inside the mapping (checked above), and every bit pattern is
        // a valid T (promised by Field). The kernel writes only blocks that it owns.
        Some(unsafe { self.base.add(offset).cast::<T>().read_unaligned() })
    }

    /// Borrows bytes of the ring; `None` if they would reach past the mapping.
    #[inline]
    fn bytes(&self, offset: usize, len: usize) -> Option<&[u8]> {
        let end = offset.checked_add(len)?;
        if end > self.len {
            return None;
        }
        // SAFETY: offset..end lies inside the mapping (checked above). Called only between
        // `enter` and `release`, while the block is ours and the kernel doesn't write it; a frame
        // borrows its block, so it can't be alive at `release`.
        Some(unsafe { slice::from_raw_parts(self.base.add(offset).as_ptr(), len) })
    }

    /// The status word of the block that begins at `start`.
    #[inline]
    fn status(&self, start: usize) -> Option<&AtomicU32> {
        let offset = start.checked_add(STATUS_OFFSET)?;
        let end = offset.checked_add(size_of::<AtomicU32>())?;
        if end > self.len || !offset.is_multiple_of(align_of::<AtomicU32>()) {
            return None;
        }
        // SAFETY: inside the mapping and aligned (both checked above; the base is the start of a
        // page). The kernel and we touch this word only as a whole.
        Some(unsafe { AtomicU32::from_ptr(self.base.add(offset).cast().as_ptr()) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that `new` made; whatever borrowed from it is gone, as
        // borrows end with the ring that owns it.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// The loss counters of a socket with a ring.
pub(super) fn statistics(fd: BorrowedFd<'_>) -> io::Result<Statistics> {
    let read: libc::tpacket_stats_v3 = socket::get(fd, libc::SOL_PACKET, libc::PACKET_STATISTICS)?;
    Ok(Statistics { packets: read.tp_packets, drops: read.tp_drops, freezes: read.tp_freeze_q_cnt })
}

/// Seconds and nanoseconds as microseconds.
#[inline]
pub(super) fn stamp(sec: u32, nsec: u32) -> Wall {
    let micros = i64::from(nsec / 1_000);
    Wall(i64::from(sec).saturating_mul(1_000_000).saturating_add(micros))
}

/// The tag that was taken off, if one was. Kernels before 3.14 don't tell the TPID.
#[inline]
pub(super) fn vlan(status: u32, tci: u32, tpid: u16) -> Option<VlanTag> {
    if status & STATUS_VLAN_VALID == 0 {
        return None;
    }
    let told = status & STATUS_VLAN_TPID_VALID != 0;
    Some(VlanTag {
        tci: u16::try_from(tci & 0xffff).unwrap_or(0),
        tpid: if told { tpid } else { 0x8100 },
    })
}

/// What a status word says of the checksum.
#[inline]
pub(super) const fn checksum(status: u32) -> Checksum {
    if status & STATUS_CHECKSUM_NOT_READY != 0 {
        Checksum::NotReady
    } else if status & STATUS_CHECKSUM_VALID != 0 {
        Checksum::Valid
    } else {
        Checksum::Unknown
    }
}

/// The socket kind: with the link header or without.
pub(super) fn socket_kind(config: &Config<'_>) -> libc::c_int {
    if config.cooked { libc::SOCK_DGRAM } else { libc::SOCK_RAW }
}

/// The last steps, the same with a ring and without: filter, then options, then bind.
pub(super) fn finish(fd: &OwnedFd, config: &Config<'_>) -> Result<(), Error> {
    attach_filter(fd, config).map_err(Error::at("filter"))?;
    if config.ignore_outgoing {
        // Since Linux 4.20. Older ones deliver them and the reader leaves them out.
        let _ = socket::set(fd.as_fd(), libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &1);
    }
    let ifindex = libc::c_int::try_from(config.ifindex).unwrap_or(-1);
    if config.promiscuous {
        promiscuous(fd.as_fd(), config.ifindex).map_err(Error::at("promiscuous"))?;
    }
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).unwrap_or(0),
        sll_protocol: u16::try_from(libc::ETH_P_ALL).unwrap_or(0).to_be(),
        sll_ifindex: ifindex,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    socket::bind(fd.as_fd(), &address).map_err(Error::at("bind"))
}

/// Asks a card for frames that aren't addressed to this machine, as long as the socket is open.
pub(super) fn promiscuous(fd: BorrowedFd<'_>, ifindex: u32) -> io::Result<()> {
    let request = libc::packet_mreq {
        mr_ifindex: libc::c_int::try_from(ifindex).unwrap_or(-1),
        mr_type: u16::try_from(libc::PACKET_MR_PROMISC).unwrap_or(1),
        mr_alen: 0,
        mr_address: [0; 8],
    };
    socket::set(fd, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request)
}

/// Attaches the given filter, or one that only sets the snap length.
fn attach_filter(fd: &OwnedFd, config: &Config<'_>) -> io::Result<()> {
    let mut program: Vec<libc::sock_filter> = config
        .filter
        .iter()
        .map(|&(code, jt, jf, k)| libc::sock_filter { code, jt, jf, k })
        .collect();
    if program.is_empty() {
        if config.snaplen >= MAX_SNAPLEN {
            return Ok(());
        }
        program.push(libc::sock_filter {
            code: 0x06, // BPF_RET | BPF_K
            jt: 0,
            jf: 0,
            k: config.snaplen,
        });
    }
    let Ok(len) = u16::try_from(program.len()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    let pointer = std::ptr::from_ref(&program).cast();
    let size = socket::len_of::<libc::sock_fprog>();
    // SAFETY: the program describes `len` instructions that live until the end of this function;
    // the kernel copies them.
    socket::check(unsafe {
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, pointer, size)
    })?;
    Ok(())
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "offsets into a ring that the test made")]
mod tests {
    use super::*;

    /// A mapping of anonymous memory in place of the kernel's ring.
    fn ring(blocks: usize, block_size: usize) -> Ring {
        // SAFETY: a new anonymous mapping.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                blocks * block_size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        let map = Mapping { base: NonNull::new(base.cast()).unwrap(), len: blocks * block_size };
        let fd = std::fs::File::open("/dev/null").unwrap().into();
        Ring { map, fd, block_size, blocks, current: 0, cursor: None }
    }

    fn put(ring: &Ring, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= ring.map.len);
        // SAFETY: inside the mapping, checked above.
        unsafe { ring.map.base.add(at).as_ptr().copy_from(bytes.as_ptr(), bytes.len()) };
    }

    fn words(values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_ne_bytes()).collect()
    }

    fn frame(ring: &Ring, at: usize, next: u32, mac: u16, data: &[u8], status: u32) {
        let len = u32::try_from(data.len()).unwrap();
        put(ring, at, &words(&[next, 7, 1_500, len, len + 10, status]));
        put(ring, at + 24, &mac.to_ne_bytes());
        put(ring, at + 32, &words(&[0x2005]));
        put(ring, at + 36, &0x88a8_u16.to_ne_bytes());
        put(ring, at + 58, &[4]);
        put(ring, at + usize::from(mac), data);
    }

    fn block(ring: &Ring, index: usize, frames: u32) {
        let start = index * ring.block_size;
        put(ring, start, &words(&[1, 0, STATUS_USER, frames, 48, 0]));
    }

    fn seen(drained: &mut Vec<Vec<u8>>) -> impl FnMut(&[RawFrame<'_>]) {
        |frames| drained.extend(frames.iter().map(|frame| frame.data.to_vec()))
    }

    #[test]
    fn a_budget_stops_amid_a_block_and_the_next_call_goes_on_there() {
        let mut ring = ring(2, 4096);
        block(&ring, 0, 3);
        for (i, name) in [b"one", b"two", b"thr"].iter().enumerate() {
            frame(&ring, 48 + i * 128, 128, 80, *name, 0);
        }
        let mut got = Vec::new();
        let two = Drained { frames: 2, more: true };
        assert_eq!(ring.drain(2, seen(&mut got)), two);
        assert_eq!(ring.map.status(0).unwrap().load(Ordering::Relaxed), 1);
        let one = Drained { frames: 1, more: false };
        assert_eq!(ring.drain(9, seen(&mut got)), one);
        assert_eq!(ring.map.status(0).unwrap().load(Ordering::Relaxed), 0);
        assert_eq!(got, [b"one", b"two", b"thr"]);
        assert_eq!(ring.current, 1);
    }

    #[test]
    fn header_fields_reach_the_frame() {
        let mut ring = ring(1, 4096);
        block(&ring, 0, 1);
        frame(&ring, 48, 0, 80, b"x", STATUS_VLAN_VALID | STATUS_VLAN_TPID_VALID);
        let mut block = ring.next_block().unwrap();
        let mut room = [RawFrame::EMPTY; 2];
        assert_eq!(block.next_frames(&mut room), 1);
        let frame = room[0];
        assert_eq!(frame.wall, Wall(7_000_001));
        assert_eq!((frame.nanos, frame.wire_len), (1_500, 11));
        let tag = VlanTag { tci: 0x2005, tpid: 0x88a8 };
        assert_eq!(frame.vlan, Some(tag));
        assert_eq!(frame.kind, Kind::OUTGOING);
    }

    #[test]
    fn offsets_past_the_mapping_end_the_block_and_nothing_more() {
        let mut ring = ring(2, 4096);
        block(&ring, 0, 1_000);
        frame(&ring, 48, u32::MAX, 80, b"fine", 0);
        block(&ring, 1, 2);
        frame(&ring, 4096 + 48, 128, 80, b"", 0);
        let lie = words(&[128, 0, 0, 9_000]);
        put(&ring, 4096 + 48, &lie);
        let mut got = Vec::new();
        assert!(!ring.drain(100, seen(&mut got)).more);
        // The lying length costs the bytes of that frame, the lying offset the rest of its block.
        assert_eq!(got, [&b"fine"[..], b"", b""]);
        assert_eq!(ring.current, 0);
    }

    #[test]
    fn a_block_of_the_kernel_is_not_touched() {
        let mut ring = ring(2, 4096);
        assert!(ring.next_block().is_none());
    }
}
