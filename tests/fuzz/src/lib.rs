//! Fuzz targets; see `targets.rs`.

#[path = "../targets.rs"]
pub mod targets;
