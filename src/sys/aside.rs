#![allow(unsafe_code)]
//! What the kernel takes long to let go of is dropped beside the loop.

use std::any::Any;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

/// Octets of stack of the thread that drops: it does nothing else.
const STACK: usize = 64 * 1024;

/// What the thread is given.
type Load = Box<dyn Any + Send>;

/// Drops something whose closing waits for the kernel: a packet socket takes tens of milliseconds
/// until no processor can be using its ring any more. A thread of its own waits for that and
/// ends; where none can be made it is dropped at once.
///
/// The thread is the C library's: one of Rust's has a name and somebody who may wait for it, and
/// its code takes ten kilobytes on a router.
pub fn drop_aside<T: Send + 'static>(items: impl IntoIterator<Item = T>) {
    let items: Vec<T> = items.into_iter().collect();
    if !items.is_empty() {
        spawn(Box::new(items));
    }
}

fn spawn(load: Load) {
    let load = Box::into_raw(Box::new(load)).cast::<c_void>();
    let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: the attributes are used only if they could be initialised, and given back. The thread
    // gets a pointer that nobody else has, and `drop_all` is what such a pointer is for.
    let started = unsafe {
        libc::pthread_attr_init(attributes.as_mut_ptr()) == 0 && {
            let attributes = attributes.as_mut_ptr();
            // A size that is refused leaves the system's own.
            libc::pthread_attr_setstacksize(attributes, STACK);
            libc::pthread_attr_setdetachstate(attributes, libc::PTHREAD_CREATE_DETACHED);
            let failed = libc::pthread_create(thread.as_mut_ptr(), attributes, drop_all, load);
            libc::pthread_attr_destroy(attributes);
            failed == 0
        }
    };
    if !started {
        drop_all(load);
    }
}

/// Drops what [`spawn`] made of a load.
extern "C" fn drop_all(load: *mut c_void) -> *mut c_void {
    // SAFETY: only `spawn` calls this or has it called, once, with a pointer to a boxed `Load`
    // that it gave up.
    drop(unsafe { Box::from_raw(load.cast::<Load>()) });
    ptr::null_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};
    use std::thread::{self, ThreadId};

    struct Told(Sender<ThreadId>);

    impl Drop for Told {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).unwrap();
        }
    }

    #[test]
    fn what_is_dropped_aside_is_dropped_by_another_thread() {
        let (told, tell) = channel();
        drop_aside([Told(told.clone()), Told(told)]);
        // Both, and then nobody is left who could tell of more.
        let threads: Vec<ThreadId> = tell.iter().collect();
        assert_eq!(threads.len(), 2);
        assert!(threads.iter().all(|other| *other != thread::current().id()));
    }
}
