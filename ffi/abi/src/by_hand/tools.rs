//! Tool support (chapter 15).

use ferrite_engine::Result;

use crate::types::c_int;

/// A call for profiling tools to intercept: it does nothing by itself (MPI 5.0, section 15.2.4).
pub(crate) unsafe fn pcontrol(_level: c_int) -> Result<()> {
    Ok(())
}
