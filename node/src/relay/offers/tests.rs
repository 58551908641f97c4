//! Offers come from devices that exist on paper only.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::*;

fn key(number: usize) -> RecordKey {
    RecordKey::new(blake3::hash(&number.to_be_bytes()).as_bytes())
}

fn network(number: usize) -> Network {
    Network::V4(Ipv4Addr::from_bits(number as u32))
}

fn offers() -> Offers {
    Offers::new(PeerId::random())
}

#[test]
fn a_device_offers_as_much_as_it_may_and_its_place_is_free_when_it_is_gone() {
    let (mut offers, device, now) = (offers(), PeerId::random(), Instant::now());
    for number in 0..OFFERED_PER_DEVICE_MAX {
        assert!(offers.take(device, network(1), &key(number), now));
        assert!(offers.take(device, network(1), &key(number), now), "it is renewed");
    }
    let next = key(OFFERED_PER_DEVICE_MAX);
    assert!(!offers.take(device, network(1), &next, now));
    assert!(offers.take(PeerId::random(), network(1), &next, now), "others have their own share");
    assert_eq!((offers.count(), offers.refused), (OFFERED_PER_DEVICE_MAX + 1, 1));
    offers.drop_all(&device);
    assert!(offers.providers(&key(0)).is_empty());
    assert!(offers.take(device, network(1), &key(0), now));
    assert_eq!((offers.count(), offers.under.len(), offers.of.len()), (2, 2, 2));
}

#[test]
fn all_devices_together_offer_as_much_as_there_is_room_for() {
    let (mut offers, now) = (offers(), Instant::now());
    let devices: Vec<PeerId> =
        (0..OFFERS_MAX.div_ceil(OFFERED_PER_DEVICE_MAX)).map(|_| PeerId::random()).collect();
    for number in 0..OFFERS_MAX {
        let at = network(number / OFFERS_PER_NETWORK_MAX);
        assert!(offers.take(devices[number / OFFERED_PER_DEVICE_MAX], at, &key(number), now));
    }
    assert!(!offers.take(PeerId::random(), network(9), &key(OFFERS_MAX), now));
    assert!(!offers.take(PeerId::random(), network(9), &RecordKey::new(&[1, 2, 3]), now), "no key of ours");
}

#[test]
fn one_network_offers_no_more_than_its_share() {
    let (mut offers, now) = (offers(), Instant::now());
    let devices: Vec<PeerId> =
        (0..OFFERS_PER_NETWORK_MAX.div_ceil(OFFERED_PER_DEVICE_MAX)).map(|_| PeerId::random()).collect();
    for number in 0..OFFERS_PER_NETWORK_MAX {
        assert!(offers.take(devices[number / OFFERED_PER_DEVICE_MAX], network(1), &key(number), now));
    }
    assert!(!offers.take(PeerId::random(), network(1), &key(OFFERS_PER_NETWORK_MAX), now));
    assert!(offers.take(PeerId::random(), network(2), &key(OFFERS_PER_NETWORK_MAX), now));
}

#[test]
fn made_up_devices_do_not_push_a_member_from_its_key() {
    let (mut offers, now) = (offers(), Instant::now());
    let flood = |offers: &mut Offers| {
        for _ in 0..4 * OFFERS_PER_KEY_MAX {
            offers.take(PeerId::random(), network(1), &key(0), now);
        }
    };
    let (early, late) = (PeerId::random(), PeerId::random());
    assert!(offers.take(early, network(2), &key(0), now));
    flood(&mut offers);
    assert!(offers.take(late, network(3), &key(0), now), "though the key is full");
    flood(&mut offers);
    assert_eq!(offers.count(), OFFERS_PER_KEY_MAX);
    for _ in 0..100 {
        let named: Vec<PeerId> = offers.providers(&key(0)).iter().map(|record| record.provider).collect();
        assert!(named.contains(&early) && named.contains(&late) && named.len() == NAMED_PER_KEY_MAX);
    }
}

#[test]
fn whoever_offers_from_as_many_networks_as_are_kept_is_not_named_alone() {
    let (mut offers, now, member) = (offers(), Instant::now(), PeerId::random());
    assert!(offers.take(member, network(0), &key(0), now));
    for number in 1..4 * OFFERS_PER_KEY_MAX {
        offers.take(PeerId::random(), network(number), &key(0), now);
    }
    assert_eq!(offers.count(), OFFERS_PER_KEY_MAX);
    let asked = 0..1000;
    let is_named = |_: &i32| offers.providers(&key(0)).iter().any(|record| record.provider == member);
    let found = asked.filter(is_named).count();
    // A quarter of the questions, as 16 of 64 are named: far from never.
    assert!((100..500).contains(&found), "{found}");
}

#[test]
fn an_offer_is_forgotten_when_it_is_not_renewed() {
    let (mut offers, start) = (offers(), Instant::now());
    let (kept, old) = (PeerId::random(), PeerId::random());
    for device in [kept, old] {
        assert!(offers.take(device, network(1), &key(0), start));
    }
    assert!(offers.take(kept, network(1), &key(0), start + OFFER_FOR));
    offers.forget_old(start + OFFER_FOR + Duration::from_secs(1));
    let named: Vec<PeerId> = offers.providers(&key(0)).iter().map(|record| record.provider).collect();
    assert_eq!(named, [kept]);
}

#[test]
fn the_table_itself_keeps_nothing() {
    let mut offers = offers();
    let record = Record::new(key(0), b"a value".to_vec());
    assert!(offers.put(record).is_err() && offers.get(&key(0)).is_none());
    let offer = ProviderRecord::new(key(0), PeerId::random(), Vec::new());
    assert!(offers.add_provider(offer).is_err() && offers.providers(&key(0)).is_empty());
}
