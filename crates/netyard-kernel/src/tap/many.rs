//! Opens and closes many taps at once.
//!
//! Each opening and closing waits for all processors; threads wait together (100 ms instead of some seconds for 300).

use super::{OpenTap, Settings, Tap, open};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads that wait together. More would not wait less.
const THREADS_MAX: usize = 100;

/// Opens a tap in each of these network namespaces; the caller's threads stay where they are.
///
/// # Errors
/// For each namespace those of setns(2) and [`open`].
pub fn open_in(namespaces: &[BorrowedFd<'_>], settings: Settings<'_>) -> Vec<io::Result<OpenTap>> {
    let results: Vec<Mutex<Option<io::Result<OpenTap>>>> =
        namespaces.iter().map(|_| Mutex::new(None)).collect();
    side_by_side(namespaces.len(), |index| {
        let kind = Some(rustix::thread::LinkNameSpaceType::Network);
        let opened = rustix::thread::move_into_link_name_space(namespaces[index], kind)
            .map_err(io::Error::from)
            .and_then(|()| open(settings));
        *results[index].lock().expect("nobody panics with it") = Some(opened);
    });
    let taken = |slot: Mutex<Option<io::Result<OpenTap>>>| {
        slot.into_inner().expect("nobody panicked with it").expect("each was opened or refused")
    };
    results.into_iter().map(taken).collect()
}

/// Closes taps.
pub fn close_all(taps: Vec<Tap>) {
    let taps: Vec<Mutex<Option<Tap>>> = taps.into_iter().map(|tap| Mutex::new(Some(tap))).collect();
    side_by_side(taps.len(), |index| drop(taps[index].lock().expect("nobody panics with it").take()));
}

/// Does `work` for each index below `count`, on threads of their own.
fn side_by_side(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..count.min(THREADS_MAX) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    work(index);
                }
            });
        }
    });
}
