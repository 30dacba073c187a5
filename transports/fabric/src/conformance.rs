//! One suite that every transport must pass.
