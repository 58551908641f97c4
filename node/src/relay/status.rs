//! What a relay tells of itself: numbers alone, and nothing of whom they belong to.

use serde::{Deserialize, Serialize};

use crate::limits::{CIRCUITS_MAX, OFFERS_MAX, PLACES_MAX, RELAY_CONNECTIONS_MAX};

/// How a relay does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its peer id.
    pub peer_id: String,
    /// Where it is reached.
    pub addresses: Vec<String>,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// Devices connected.
    pub devices: u64,
    /// Connections, of which a device may have several.
    pub connections: u64,
    /// Connections refused since the start.
    #[serde(default)]
    pub connections_refused: u64,
    /// Devices that hold a place, through which others reach them.
    pub places: u64,
    /// Circuits open now.
    pub circuits: u64,
    /// Circuits opened since the start.
    pub circuits_opened: u64,
    /// Circuits refused since the start.
    pub circuits_refused: u64,
    /// Places refused since the start.
    pub places_refused: u64,
    /// Keys under which devices offer to be found.
    pub offers: u64,
    /// Offers refused since the start.
    pub offers_refused: u64,
    /// Tests since the start whether a device is reached from outside, carried through.
    pub tests: u64,
    /// Tests that were broken off.
    pub tests_failed: u64,
    /// The most it takes.
    pub limits: Limits,
}

/// The most a relay takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Connections.
    pub connections: u64,
    /// Places.
    pub places: u64,
    /// Circuits.
    pub circuits: u64,
    /// Offers.
    pub offers: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        let number = |limit: usize| u64::try_from(limit).unwrap_or(u64::MAX);
        Limits {
            connections: RELAY_CONNECTIONS_MAX.into(),
            places: number(PLACES_MAX),
            circuits: number(CIRCUITS_MAX),
            offers: number(OFFERS_MAX),
        }
    }
}
