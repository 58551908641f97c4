//! The page of a relay: its status in numbers.

use super::Kind::{Counter, Gauge};
use super::{Page, process};
use crate::relay::Status;

/// The page of a relay.
pub fn relay(status: &Status) -> String {
    let mut page = Page::default();
    // Taken apart by name: a new field of the status is shown here too, or this does not build.
    let Status {
        peer_id: _,
        addresses: _,
        uptime_s,
        devices,
        connections,
        connections_refused,
        places,
        circuits,
        circuits_opened,
        circuits_refused,
        places_refused,
        offers,
        offers_refused,
        tests,
        tests_failed,
        limits,
    } = status;
    process(&mut page, *uptime_s);
    for (name, help, value) in [
        ("fourword_relay_devices", "Devices connected.", devices),
        ("fourword_relay_connections", "Connections, of which a device may have several.", connections),
        ("fourword_relay_places", "Devices that hold a place, through which others reach them.", places),
        ("fourword_relay_circuits", "Circuits open.", circuits),
        ("fourword_relay_offers", "Keys under which devices offer to be found.", offers),
    ] {
        page.one(name, Gauge, help, value);
    }
    page.one("fourword_relay_circuits_opened_total", Counter, "Circuits opened.", circuits_opened);
    let name = "fourword_relay_refused_total";
    page.family(name, Counter, "What was refused for want of room or for haste, by what it was.");
    page.value(name, &[("what", "connection")], connections_refused);
    page.value(name, &[("what", "circuit")], circuits_refused);
    page.value(name, &[("what", "place")], places_refused);
    page.value(name, &[("what", "offer")], offers_refused);
    let name = "fourword_relay_tests_total";
    page.family(name, Counter, "Tests whether a device is reached from outside, by how they ended.");
    page.value(name, &[("result", "done")], tests);
    page.value(name, &[("result", "broken_off")], tests_failed);
    let name = "fourword_relay_limit";
    page.family(name, Gauge, "The most that the relay takes, by what.");
    page.value(name, &[("what", "connections")], limits.connections);
    page.value(name, &[("what", "places")], limits.places);
    page.value(name, &[("what", "circuits")], limits.circuits);
    page.value(name, &[("what", "offers")], limits.offers);
    page.0
}
