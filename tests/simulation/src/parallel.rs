//! Cells side by side.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

/// Works on all of `inputs`, on as many threads as there are processors, and tells how many are done. In the order of the input.
///
/// # Panics
/// If `work` does.
pub fn in_parallel<I: Sync, O: Send>(
    inputs: &[I],
    work: impl Fn(&I) -> O + Sync,
    done: impl Fn(usize, usize) + Sync,
) -> Vec<O> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (next, finished) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let outputs: Mutex<Vec<Option<O>>> = Mutex::new(inputs.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..threads.min(inputs.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(input) = inputs.get(index) else { return };
                    let output = work(input);
                    outputs.lock().expect("no thread panicked with the lock")[index] = Some(output);
                    done(finished.fetch_add(1, Ordering::Relaxed) + 1, inputs.len());
                }
            });
        }
    });
    let outputs = outputs.into_inner().expect("no thread panicked with the lock");
    outputs.into_iter().map(|output| output.expect("every input was worked on")).collect()
}
