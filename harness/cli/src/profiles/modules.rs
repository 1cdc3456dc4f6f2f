//! Where the modules of a kernel are: their functions' part of the kernel, since their debug information is not kept.

use std::{collections::BTreeMap, fs, path::Path};

use measure::KernelImage;
use profile::{Boot, SourceFiles};

/// The path in the kernel's tree of each module below `lib/modules/RELEASE`, by the name that the kernel calls it. What cannot be read has none.
fn places(image: &KernelImage) -> BTreeMap<String, String> {
    let mut places = BTreeMap::new();
    if let Some(modules) = &image.modules {
        let top = modules.join("lib/modules").join(&image.release).join("kernel");
        collect(&top, &top, &mut places);
    }
    places
}

fn collect(top: &Path, folder: &Path, places: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(top, &path, places);
        } else if let Some((name, _)) = entry.file_name().to_string_lossy().split_once(".ko")
            && let Some(place) = path.strip_prefix(top).ok().and_then(Path::to_str)
        {
            places.insert(name.replace('-', "_"), place.to_owned());
        }
    }
}

/// Gives the functions of modules a file: the module that they are in.
pub(super) fn add_files<'a>(
    files: &mut SourceFiles,
    image: &KernelImage,
    boots: impl Iterator<Item = &'a Boot>,
) {
    let functions = boots.flat_map(|boot| &boot.profile.functions);
    let of_modules: Vec<(u64, &str)> = functions
        .filter_map(|function| Some((function.start, function.symbol.as_ref()?.module.as_deref()?)))
        .collect();
    if of_modules.is_empty() {
        return;
    }
    let places = places(image);
    for (start, module) in of_modules {
        if let Some(place) = places.get(module) {
            files.insert(start, place.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_by_the_kernels_names_compressed_or_not() {
        let room = tempfile::tempdir().unwrap();
        let top = room.path();
        fs::create_dir_all(top.join("drivers/net/ethernet")).unwrap();
        fs::write(top.join("drivers/net/dummy.ko"), "").unwrap();
        fs::write(top.join("drivers/net/ethernet/some-nic.ko.xz"), "").unwrap();
        fs::write(top.join("modules.order"), "").unwrap();
        let mut places = BTreeMap::new();
        collect(top, top, &mut places);
        let expected = [
            ("dummy".to_owned(), "drivers/net/dummy.ko".to_owned()),
            ("some_nic".to_owned(), "drivers/net/ethernet/some-nic.ko.xz".to_owned()),
        ];
        assert_eq!(places, BTreeMap::from(expected));
    }
}
