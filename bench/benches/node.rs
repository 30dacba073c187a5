//! Report of the node.
fn main() {}
