//! Making, locking and taking away homes, with everything in the way that an agent could have put there.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::beneath::Directory;
use super::lock::{InUse, SetUp, is_in_use};
use super::{remove, store};
use crate::scratch::scratch;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn name() -> &'static OsStr {
    OsStr::new("default")
}

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
}

#[test]
fn what_is_made_is_closed_to_others_and_what_was_there_is_left_alone() {
    let place = scratch("chain");
    fs::create_dir(place.join("share")).unwrap();
    fs::set_permissions(place.join("share"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("share", place.join("linked")).unwrap();
    let around = Directory::around_homes(&place.join("linked/agent-aws/homes/standard/incident")).unwrap();
    around.home(name()).unwrap();
    assert_eq!(mode(&place.join("share")), 0o755);
    for below in ["agent-aws", "agent-aws/homes/standard/incident", "agent-aws/homes/standard/incident/default"] {
        assert_eq!(mode(&place.join("share").join(below)), 0o700, "{below}");
    }
    fs::remove_dir_all(&place).unwrap();
}

#[test]
fn a_home_that_an_agent_opened_or_closed_is_its_owners_again() {
    let place = scratch("modes");
    let around = Directory::around_homes(&place).unwrap();
    for changed in [0o777, 0o000, 0o4755] {
        around.home(name()).unwrap();
        fs::set_permissions(place.join("default"), fs::Permissions::from_mode(changed)).unwrap();
        around.home(name()).unwrap();
        assert_eq!(mode(&place.join("default")) & 0o777, 0o700, "{changed:o}");
    }
    assert_eq!(mode(&place), 0o700);
    fs::remove_dir_all(&place).unwrap();
}

#[test]
fn nothing_is_made_through_what_stands_in_the_way_and_the_message_names_it() {
    let place = scratch("planted");
    let (home, target) = (place.join("default"), place.join("target"));
    for planted in ["link", "dangling", "fifo", "socket", "file", "closed"] {
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home).unwrap();
        fs::create_dir_all(&target).unwrap();
        let obstacle = home.join("src");
        let _listener = match planted {
            "link" => symlink(&target, &obstacle).map(|()| None).unwrap(),
            "dangling" => symlink("nowhere", &obstacle).map(|()| None).unwrap(),
            "socket" => Some(UnixListener::bind(&obstacle).unwrap()),
            "fifo" => {
                fifo(&obstacle);
                None
            }
            "file" => fs::write(&obstacle, "content").map(|()| None).unwrap(),
            _ => {
                fs::create_dir(&obstacle).unwrap();
                fs::set_permissions(&obstacle, fs::Permissions::from_mode(0o000)).map(|()| None).unwrap()
            }
        };
        let around = Directory::around_homes(&place).unwrap();
        let made = around.home(name()).unwrap().mount_point(Path::new("src/project"), &target);
        // Root enters every directory.
        if planted == "closed" && nix::unistd::Uid::effective().is_root() {
            continue;
        }
        let said = made.unwrap_err().to_string();
        assert!(said.contains(&obstacle.display().to_string()), "{planted}: {said}");
        assert_eq!(fs::read_dir(&target).unwrap().count(), 0, "{planted}");
        match planted {
            "closed" => fs::set_permissions(&obstacle, fs::Permissions::from_mode(0o700)).unwrap(),
            _ => assert!(said.contains("something that is no directory stands there"), "{planted}: {said}"),
        }
    }
    fs::remove_dir_all(&place).unwrap();
}

#[test]
fn a_mount_point_is_a_file_or_directory_as_what_is_mounted_there() {
    let place = scratch("points");
    fs::write(place.join("a-file"), "x").unwrap();
    let home = Directory::around_homes(&place).unwrap().home(name()).unwrap();
    let at = |below: &str| place.join("default").join(below);
    home.mount_point(Path::new(".cargo/env"), &place.join("a-file")).unwrap();
    home.mount_point(Path::new(".cargo/bin"), &place).unwrap();
    home.mount_point(Path::new("gone"), &place.join("nowhere")).unwrap();
    assert!(at(".cargo/env").is_file() && at(".cargo/bin").is_dir() && !at("gone").exists());
    // What is a directory now was a file before, and the other way round.
    home.mount_point(Path::new(".cargo/env"), &place).unwrap();
    home.mount_point(Path::new(".cargo/bin"), &place.join("a-file")).unwrap();
    assert!(at(".cargo/env").is_dir() && at(".cargo/bin").is_file());
    // But nothing that holds something is taken away.
    fs::write(at(".cargo/bin"), "x").unwrap();
    fs::write(at(".cargo/env/x"), "x").unwrap();
    assert!(home.mount_point(Path::new(".cargo/bin"), &place).is_err());
    assert!(home.mount_point(Path::new(".cargo/env"), &place.join("a-file")).is_err());
    fifo(&at("fifo"));
    symlink("nowhere", at("link")).unwrap();
    for odd in ["fifo", "link"] {
        let said = home.mount_point(Path::new(odd), &place.join("a-file")).unwrap_err().to_string();
        assert!(said.contains("something that is no file"), "{said}");
    }
    assert!(fs::symlink_metadata(at("fifo")).unwrap().file_type().is_fifo() && !at("nowhere").exists());
    assert!(home.mount_point(Path::new("../x"), &place).is_err() && !place.join("x").exists());
    fs::remove_dir_all(&place).unwrap();
}

#[test]
fn sessions_share_a_home_and_it_is_not_taken_from_under_them() {
    let place = scratch("locks");
    let around = Directory::around_homes(&place).unwrap();
    assert!(!is_in_use(&around, name()));
    let set_up = SetUp::begin(&around, name()).unwrap();
    let one = InUse::with_others(&around, name(), &set_up).unwrap();
    let two = InUse::with_others(&around, name(), &set_up).unwrap();
    assert!(InUse::alone(&around, name(), &set_up).unwrap().is_none() && is_in_use(&around, name()));
    drop(one);
    assert!(InUse::alone(&around, name(), &set_up).unwrap().is_none());
    drop(two);
    let alone = InUse::alone(&around, name(), &set_up).unwrap().unwrap();
    let shared = alone.share(&set_up).unwrap();
    let other = InUse::with_others(&around, name(), &set_up).unwrap();
    assert!(is_in_use(&around, name()) && !is_in_use(&around, OsStr::new("other")));
    drop((shared, other));
    assert!(!is_in_use(&around, name()));
    // Nothing of it lies in a home.
    assert!(fs::read_dir(&place).unwrap().all(|e| e.unwrap().file_name().to_str().unwrap().starts_with('.')));
    fs::remove_dir_all(&place).unwrap();
}

#[test]
fn set_up_waits_for_another_and_then_says_so() {
    let place = scratch("wait");
    let around = Directory::around_homes(&place).unwrap();
    let first = SetUp::begin(&around, name()).unwrap();
    let again = Directory::around_homes(&place).unwrap();
    let waiting = std::thread::spawn(move || SetUp::begin(&again, name()).map(drop).map_err(|e| e.to_string()));
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(!waiting.is_finished());
    drop(first);
    waiting.join().unwrap().unwrap();
    let _held = SetUp::begin(&around, name()).unwrap();
    let said = SetUp::begin(&around, name()).unwrap_err().to_string();
    assert!(said.contains("another agent-aws has been making this home ready for 10 s"), "{said}");
    fs::remove_dir_all(&place).unwrap();
}

#[test]
fn a_tree_goes_whatever_was_planted_in_it_and_nothing_else_does() {
    let place = scratch("remove");
    let (home, outside) = (place.join("default"), place.join("outside"));
    fs::create_dir_all(outside.join("below")).unwrap();
    fs::write(outside.join("kept"), "x").unwrap();
    fs::create_dir_all(home.join("closed/below")).unwrap();
    for link in ["link", "closed/link"] {
        symlink(&outside, home.join(link)).unwrap();
    }
    symlink("..", home.join("up")).unwrap();
    fs::hard_link(outside.join("kept"), home.join("hard")).unwrap();
    fifo(&home.join("fifo"));
    let _socket = UnixListener::bind(home.join("socket")).unwrap();
    fs::write(home.join("closed/below/file"), "x").unwrap();
    for closed in ["closed/below", "closed"] {
        fs::set_permissions(home.join(closed), fs::Permissions::from_mode(0o000)).unwrap();
    }
    let around = Directory::around_homes(&place).unwrap();
    let aside = remove::aside(&around, name()).unwrap().unwrap();
    assert!(!home.exists() && remove::left_aside(&around) == [aside.clone()]);
    assert_eq!(remove::aside(&around, name()).unwrap(), None);
    remove::tree(&around, &aside).unwrap();
    assert_eq!(remove::left_aside(&around), Vec::<std::ffi::OsString>::new());
    assert!(outside.join("kept").is_file() && outside.join("below").is_dir());
    // A link in the place of a home goes itself.
    symlink("outside", &home).unwrap();
    remove::tree(&around, name()).unwrap();
    assert!(fs::symlink_metadata(&home).is_err() && outside.join("kept").is_file());
    fs::remove_dir_all(&place).unwrap();
}

#[test]
fn no_tree_is_too_deep() {
    let place = scratch("deep");
    fs::create_dir(place.join("default")).unwrap();
    let mut here = Directory::open(&place.join("default")).unwrap();
    for _ in 0..3000 {
        rustix::fs::mkdirat(&here, "a-directory", Mode::RWXU).unwrap();
        rustix::fs::mkdirat(&here, "beside", Mode::RWXU).unwrap();
        here = here.at(OsStr::new("a-directory")).unwrap();
    }
    drop(here);
    remove::tree(&Directory::open(&place).unwrap(), name()).unwrap();
    assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
    fs::remove_dir_all(&place).unwrap();
}

#[test]
fn homes_are_listed_without_locks_and_what_was_put_aside() {
    let place = scratch("list");
    let homes = place.join(".local/share/agent-aws/homes");
    let around = Directory::around_homes(&homes.join("standard/own%3adev")).unwrap();
    let home = around.home(name()).unwrap();
    around.home(OsStr::new("two")).unwrap();
    fs::write(home.path().join("x"), vec![1; 100_000]).unwrap();
    let set_up = SetUp::begin(&around, name()).unwrap();
    let held = InUse::with_others(&around, name(), &set_up).unwrap();
    fs::create_dir(homes.join("standard/own%3adev/.gone-1-0-default")).unwrap();
    symlink("default", homes.join("standard/own%3adev/link")).unwrap();
    let all = store::all(&place);
    let rows: Vec<String> = all.iter().map(|h| format!("{} {} {}", h.sandbox, h.identity, h.name)).collect();
    assert_eq!(rows, ["standard own:dev default", "standard own:dev two"]);
    let (first, second) = (all[0].state().unwrap(), all[1].state().unwrap());
    assert!(first.in_use && !second.in_use && second.last_use.is_none());
    assert!(first.size.unwrap() >= 100_000 && first.last_use.unwrap() > 1_700_000_000);
    drop(held);
    assert!(!all[0].state().unwrap().in_use);
    fs::remove_dir_all(&place).unwrap();
}
