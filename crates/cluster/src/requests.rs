//! The requests of a gateway, from its queue until their partitions have accepted them. No I/O and no clock.

pub mod appends;
pub mod in_flight;
