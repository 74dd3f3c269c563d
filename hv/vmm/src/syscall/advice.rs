//! Calls that say what a program is going to do, or would like: here they change little or nothing.

use super::call::{Answer, Call};
use super::open_files::Object;
use crate::errno::Errno;
use crate::memory::contents::SIZE_MAX;
use linux_raw_sys::general::{AT_SYMLINK_NOFOLLOW, FALLOC_FL_KEEP_SIZE, POSIX_FADV_NOREUSE};
use spec::addr::PAGE_SIZE;

pub(super) fn fadvise64(c: &mut Call<'_>) -> Answer {
    match (c.file(0)?.object, c.uint(3)) {
        (Object::Pipe(..), _) => Err(Errno::ESPIPE.into()),
        (_, 0..=POSIX_FADV_NOREUSE) if c.args[2].cast_signed() >= 0 => Ok(0),
        _ => Err(Errno::EINVAL.into()),
    }
}

pub(super) fn readahead(c: &mut Call<'_>) -> Answer {
    match c.file(0)?.object {
        Object::File => Ok(0),
        _ => Err(Errno::EINVAL.into()),
    }
}

pub(super) fn fallocate(c: &mut Call<'_>) -> Answer {
    let (mode, offset, length) = (c.uint(1), c.args[2], c.args[3]);
    let file = c.file(0)?;
    file.check_writable()?;
    let (Object::File, Some(ino)) = (file.object, file.ino) else {
        return Err(Errno::ENODEV.into());
    };
    if offset.cast_signed() < 0 || length.cast_signed() <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let end = offset + length;
    if end > SIZE_MAX {
        return Err(Errno::EFBIG.into());
    }
    if mode & !FALLOC_FL_KEEP_SIZE != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let (contents, budget) = c.system.files.contents_mut(ino)?;
    let pages = offset / PAGE_SIZE..end.div_ceil(PAGE_SIZE);
    if pages.end - pages.start > budget.free / PAGE_SIZE {
        return Err(Errno::ENOSPC.into());
    }
    for page in pages {
        contents.page_mut(page * PAGE_SIZE, budget)?;
    }
    if mode == 0 {
        contents.grow(end);
    }
    let now = c.now();
    c.system.files.inode_mut(ino)?.touch(now);
    Ok(0)
}

/// Nothing is ever swapped out.
pub(super) fn mlock(c: &mut Call<'_>) -> Answer {
    let (start, end) = (c.args[0], c.args[0].saturating_add(c.args[1]));
    let start = start & !(PAGE_SIZE - 1);
    c.process.memory.check_mapped(start, end - start)?;
    Ok(0)
}

pub(super) fn mlockall(_: &mut Call<'_>) -> Answer {
    Ok(0)
}

/// The wish is accepted, and forgotten: there is one process.
pub(super) fn setpriority(c: &mut Call<'_>) -> Answer {
    match c.uint(0) {
        0..=2 => Ok(0),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// The program runs on what it calls CPU 0.
pub(super) fn sched_setaffinity(c: &mut Call<'_>) -> Answer {
    let [mask]: [u8; 1] = c.process.memory.read_array(c.args[2])?;
    match c.args[1] > 0 && mask & 1 != 0 {
        true => Ok(0),
        false => Err(Errno::EINVAL.into()),
    }
}

/// SCHED_OTHER.
pub(super) fn sched_getscheduler(_: &mut Call<'_>) -> Answer {
    Ok(0)
}

pub(super) fn sched_getparam(c: &mut Call<'_>) -> Answer {
    c.process.memory.write(c.args[1], &[0; 4])?;
    Ok(0)
}

/// The file system keeps no extended attributes.
pub(super) fn xattr(c: &mut Call<'_>) -> Answer {
    c.find(None, 0, 0)?;
    Err(Errno::EOPNOTSUPP.into())
}

pub(super) fn lxattr(c: &mut Call<'_>) -> Answer {
    c.find(None, 0, AT_SYMLINK_NOFOLLOW)?;
    Err(Errno::EOPNOTSUPP.into())
}

pub(super) fn fxattr(c: &mut Call<'_>) -> Answer {
    c.file(0)?;
    Err(Errno::EOPNOTSUPP.into())
}

pub(super) fn listxattr(c: &mut Call<'_>) -> Answer {
    c.find(None, 0, 0)?;
    Ok(0)
}

pub(super) fn llistxattr(c: &mut Call<'_>) -> Answer {
    c.find(None, 0, AT_SYMLINK_NOFOLLOW)?;
    Ok(0)
}

pub(super) fn flistxattr(c: &mut Call<'_>) -> Answer {
    c.file(0)?;
    Ok(0)
}
