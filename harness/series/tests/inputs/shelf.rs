//! Series in the cache.

use std::fs;

use series::shelve;

use crate::support::{fixture, read, supervisor};

#[test]
fn a_series_has_one_place_and_is_mended_there() {
    let series = read(fixture("page-pool.mbox").to_str().unwrap(), None, &supervisor()).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let root = cache.path().join("series");
    let shelved = shelve(&series, &root, &mut |_| ()).unwrap();
    assert_eq!(shelved.name, "page_pool-Make-unmaps-and-recycling".to_lowercase());
    assert_eq!(shelved.folder.parent().unwrap().parent().unwrap(), root);
    let names: Vec<_> =
        shelved.patches.iter().map(|patch| patch.path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names[0], "0001-page_pool-Make-the-DMA-unmap-of-a-released-page.patch");
    assert_eq!(fs::read(&shelved.patches[1].path).unwrap(), series.patches[1].text);
    assert!(shelved.folder.join("0000-cover-letter.patch").is_file());

    assert_eq!(shelve(&series, &root, &mut |_| ()).unwrap(), shelved);
    fs::write(&shelved.patches[0].path, "damaged").unwrap();
    fs::create_dir(root.join("unfinished-1")).unwrap();
    assert_eq!(shelve(&series, &root, &mut |_| ()).unwrap(), shelved);
    assert_eq!(fs::read(&shelved.patches[0].path).unwrap(), series.patches[0].text);
    assert!(!root.join("unfinished-1").exists(), "what a killed process left is removed");

    let mut other = series.clone();
    other.patches.pop();
    assert_ne!(shelve(&other, &root, &mut |_| ()).unwrap().folder, shelved.folder);
}

#[test]
fn many_at_once_write_the_same() {
    let series = read(fixture("page-pool.mbox").to_str().unwrap(), None, &supervisor()).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let places: Vec<plan::Series> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| shelve(&series, cache.path(), &mut |_| ()).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(places.windows(2).all(|pair| pair[0] == pair[1]));
}
