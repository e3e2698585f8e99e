//! The allocator's settings: which threads get large pages, and that no memory is returned to the system.
//!
//! Orders are in tables of many megabytes that are read at random positions. On pages of two megabytes, which the
//! allocator requests, most of these reads hit the TLB. But a large page is cleared as a whole when it is first
//! touched. On a virtual machine, whose host may first have to find that memory, this took 4 milliseconds and up to 50,
//! during which nothing else ran on that CPU; a page of four kilobytes takes microseconds. The venue's own tables pay
//! this as they grow. The second copy, of which snapshots are taken, is as large, and is created while others trade: on
//! large pages it would stall them again and again. So background threads have an arena of their own, whose memory is
//! on small pages. Only memory that another thread frees than the one that allocated it may be reused by that other
//! thread.
//!
//! The process retains freed memory for its next use: the next snapshot is taken in the memory of the last one.
//! Returning it and allocating it again would cost page faults each time, and on a virtual machine more than that: many
//! return free memory to their host, in bulk and some seconds later, and a host that was busy taking it back did not
//! write to the disk meanwhile, for 10 to 21 milliseconds. So a process stays as large as it ever was, and that much
//! memory must be available anyway.

use std::ffi::{CStr, c_uint, c_void};
use std::ptr::{null_mut, without_provenance_mut};
use std::sync::OnceLock;

use tikv_jemalloc_sys::{extent_hooks_s, mallctl};

/// The allocator reads its options from a symbol of this name.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_OPTIONS: &[u8] = b"thp:always,dirty_decay_ms:-1,muzzy_decay_ms:-1\0";

/// The allocator does not do what is asked of it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the allocator refuses {setting:?}: {}", std::io::Error::from_raw_os_error(*status))]
pub struct Error {
    setting: &'static CStr,
    status: i32,
}

/// How an arena gets its memory: as any other, and then it is put on small pages.
static HOOKS: OnceLock<(extent_hooks_s, extent_hooks_s)> = OnceLock::new();
/// The arena that all threads share that are on small pages.
static ARENA: OnceLock<Result<c_uint, Error>> = OnceLock::new();

/// From now on, allocations of this thread are on small pages.
///
/// # Errors
/// When the allocator has no arena for that; then nothing changes.
pub fn on_small_pages() -> Result<(), Error> {
    let mut arena = (*ARENA.get_or_init(small_arena))?;
    // SAFETY: `thread.arena` takes a number of an arena, of which there is one.
    unsafe { set(c"thread.arena", &mut arena) }
}

/// As [`on_small_pages`], for what asks a venue in another process: should it hold up the machine that both share, it
/// would see the venue wait. If that cannot be had, it does without.
pub fn clients_on_small_pages() {
    if let Err(error) = on_small_pages() {
        tracing::warn!(%error, "the clients use large pages, whose clearing may stall the venue");
    }
}

fn small_arena() -> Result<c_uint, Error> {
    let mut usual: *mut extent_hooks_s = null_mut();
    // SAFETY: these are the hooks of the first arena, a pointer to them, which is valid for as long as the program
    // runs.
    let usual = unsafe {
        get(c"arena.0.extent_hooks", &mut usual)?;
        *usual
    };
    let (_, hooks) = HOOKS.get_or_init(|| (usual, extent_hooks_s { alloc: Some(allocate), ..usual }));
    let (mut hooks, mut arena): (*const extent_hooks_s, c_uint) = (hooks, 0);
    let mut size = size_of::<c_uint>();
    let setting = c"arenas.create";
    // SAFETY: it takes a pointer to hooks, which are of a static and so outlive the arena, and gives an arena's number,
    // for which there is room, as its size says.
    let status = unsafe {
        let (old, new) = ((&raw mut arena).cast(), (&raw mut hooks).cast());
        mallctl(setting.as_ptr(), old, &raw mut size, new, size_of::<*const extent_hooks_s>())
    };
    if status == 0 { Ok(arena) } else { Err(Error { setting, status }) }
}

/// Reads a value of the allocator by name.
///
/// # Safety
/// The value of that name must be a `T`.
unsafe fn get<T>(setting: &'static CStr, value: &mut T) -> Result<(), Error> {
    let mut size = size_of::<T>();
    // SAFETY: the buffer has room for a value, as its size states, and the caller promises that it is one.
    let status = unsafe { mallctl(setting.as_ptr(), std::ptr::from_mut(value).cast(), &raw mut size, null_mut(), 0) };
    if status == 0 { Ok(()) } else { Err(Error { setting, status }) }
}

/// Tells the allocator something under a name.
///
/// # Safety
/// What it takes under that name must be a `T`, and one of this value.
unsafe fn set<T>(setting: &'static CStr, value: &mut T) -> Result<(), Error> {
    // SAFETY: the value lives as long as the call, and the caller promises that it is what is taken.
    let status =
        unsafe { mallctl(setting.as_ptr(), null_mut(), null_mut(), std::ptr::from_mut(value).cast(), size_of::<T>()) };
    if status == 0 { Ok(()) } else { Err(Error { setting, status }) }
}

/// Gets memory for the arena.
///
/// # Safety
/// For the allocator only, as it says for `extent_alloc_t`.
unsafe extern "C" fn allocate(
    hooks: *mut extent_hooks_s,
    at: *mut c_void,
    bytes: usize,
    alignment: usize,
    zero: *mut bool,
    commit: *mut bool,
    arena: c_uint,
) -> *mut c_void {
    // Both exist before any arena that calls this. Null means that there is no memory.
    let Some(usual) = HOOKS.get().and_then(|(usual, _)| usual.alloc) else { return without_provenance_mut(0) };
    // SAFETY: the usual hook, with what the allocator gave for it.
    let memory = unsafe { usual(hooks, at, bytes, alignment, zero, commit, arena) };
    #[cfg(target_os = "linux")]
    if !memory.is_null() {
        // SAFETY: these bytes are new and not used yet. The advice changes neither their content nor whether they are
        // mapped, and has no effect where it is not supported.
        let _ = unsafe { rustix::mm::madvise(memory, bytes, rustix::mm::Advice::LinuxNoHugepage) };
    }
    memory
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    /// The kernel's flags of the memory at an address, such as `hg` for large pages wanted and `nh` for not wanted.
    fn flags(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut here = false;
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let ends = range.and_then(|(start, end)| {
                Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
            });
            match (ends, line.strip_prefix("VmFlags:")) {
                (Some((start, end)), _) => here = (start..end).contains(&address),
                (_, Some(flags)) if here => return format!("{flags} "),
                _ => {}
            }
        }
        panic!("no memory at {address:x}")
    }

    fn on_thread(small: bool, bytes: usize) -> String {
        let work = move || {
            if small {
                on_small_pages().unwrap();
            }
            let block = vec![1_u8; bytes];
            flags(block.as_ptr().addr())
        };
        std::thread::spawn(work).join().unwrap()
    }

    #[test]
    fn the_allocator_has_its_options() {
        let mut pages: *const std::ffi::c_char = std::ptr::null();
        // SAFETY: `opt.thp` gives a text that ends with a zero byte and is there for as long as the program runs.
        let pages = unsafe {
            get(c"opt.thp", &mut pages).unwrap();
            CStr::from_ptr(pages)
        };
        assert_eq!(pages, c"always");
        for setting in [c"opt.dirty_decay_ms", c"opt.muzzy_decay_ms"] {
            let mut until_given_back = 0_isize;
            // SAFETY: the settings are of the type `ssize_t`.
            unsafe { get(setting, &mut until_given_back).unwrap() };
            assert_eq!(until_given_back, -1, "never: {setting:?}");
        }
    }

    #[test]
    fn only_memory_of_who_asked_for_it_is_on_small_pages() {
        if !std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
            return; // This kernel has no large pages to stay away from.
        }
        for bytes in [100 << 10, 3 << 20, 64 << 20] {
            for _ in 0..3 {
                let (small, large) = (on_thread(true, bytes), on_thread(false, bytes));
                assert!(small.contains(" nh "), "{bytes} bytes on small pages: {small}");
                assert!(!large.contains(" nh "), "{bytes} bytes on large pages: {large}");
            }
        }
    }
}
