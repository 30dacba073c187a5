//! What is of another type on each platform.

/// A file in memory that processes of a node share, as the platform hands it from one process to
/// another.
#[cfg(unix)]
pub type SharedFile = std::os::fd::OwnedFd;
/// A file in memory that processes of a node share, as the platform hands it from one process to
/// another.
#[cfg(windows)]
pub type SharedFile = std::os::windows::io::OwnedHandle;
