//! Probes of the machine.
