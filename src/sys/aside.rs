//! What the kernel takes long to let go of is dropped beside the loop.

use std::thread;

/// Octets of stack of the thread that drops: it does nothing else.
const STACK: usize = 64 * 1024;

/// Drops something whose closing waits for the kernel: a packet socket takes tens of milliseconds
/// until no processor can be using its ring any more. A thread of its own waits for that and
/// ends; where none can be made it is dropped at once.
pub fn drop_aside<T: Send + 'static>(items: impl IntoIterator<Item = T>) {
    let items: Vec<T> = items.into_iter().collect();
    if items.is_empty() {
        return;
    }
    // Without a thread the closure is dropped, and with it what it holds.
    let _ = thread::Builder::new().stack_size(STACK).spawn(move || drop(items));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};
    use std::thread::ThreadId;

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
