//! That what somebody shows is sealed, read as it was written, and bounded.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::*;

const ENTITY: EntityId = EntityId([1; 32]);
const EPOCH: StatementId = StatementId([2; 32]);
const ADA: DeviceKey = DeviceKey([3; 32]);

fn key() -> EpochKey {
    EpochKey::new([4; 32])
}

fn number(number: f64) -> Number {
    Number::new(number).unwrap()
}

fn pointing(selected: usize) -> Presence {
    let selected = vec![ThingId { owner: [5; 16], random: [6; 8] }; selected];
    Presence::Pointing { at: Some((number(-1.5), number(1e9))), selected }
}

fn saying(number: u64, presence: Option<Presence>) -> Saying {
    let scene = presence.as_ref().map_or(Scene::Canvas, Presence::scene);
    Saying { number, place: ENTITY, scene, presence }
}

fn sealed(content: &[u8]) -> Sealed {
    let aad = associated(ENTITY, EPOCH, &key(), ADA);
    let cipher = XChaCha20Poly1305::new(key().bytes().into());
    let sealed = cipher.encrypt(&XNonce::from([0; 24]), Payload { msg: content, aad: &aad }).unwrap();
    Sealed { entity: ENTITY, epoch: EPOCH, nonce: [0; 24], sealed }
}

#[test]
fn what_is_shown_is_read_as_it_was_sealed_by_its_device_under_its_key_alone() {
    let mut random = ChaCha20Rng::seed_from_u64(1);
    let away = Presence::Pointing { at: None, selected: Vec::new() };
    for presence in [Some(pointing(2)), Some(away), Some(Presence::Typing), None] {
        let saying = saying(7, presence);
        let sealed = saying.seal(ENTITY, (EPOCH, &key()), ADA, &mut random).unwrap();
        assert_eq!(Saying::open(&sealed, &key(), ADA), Ok(saying));
        let hostile = Err(Unread::Hostile);
        assert_eq!(Saying::open(&sealed, &key(), DeviceKey([9; 32])), hostile, "in another's name");
        assert_eq!(Saying::open(&sealed, &EpochKey::new([9; 32]), ADA), hostile);
        let elsewhere = Sealed { entity: EntityId([9; 32]), ..sealed.clone() };
        assert_eq!(Saying::open(&elsewhere, &key(), ADA), hostile);
        let later = Sealed { epoch: StatementId([9; 32]), ..sealed.clone() };
        assert_eq!(Saying::open(&later, &key(), ADA), hostile);
    }
}

#[test]
fn the_most_that_may_be_selected_fits_and_one_more_is_refused() {
    let mut random = ChaCha20Rng::seed_from_u64(1);
    let open = |selected| {
        let mut draw = random.clone();
        let sealed =
            saying(1, Some(pointing(selected))).seal(ENTITY, (EPOCH, &key()), ADA, &mut draw).unwrap();
        (sealed.sealed.len(), Saying::open(&sealed, &key(), ADA).is_ok())
    };
    let (bytes, opens) = open(PRESENCE_SELECTED_MAX);
    assert!(opens && bytes <= PRESENCE_BYTES_MAX, "{bytes}");
    assert!(!open(PRESENCE_SELECTED_MAX + 1).1);
    let padded = saying(1, None).seal(ENTITY, (EPOCH, &key()), ADA, &mut random).unwrap();
    let long = Sealed { sealed: vec![0; PRESENCE_BYTES_MAX + 1], ..padded };
    assert_eq!(Saying::open(&long, &key(), ADA), Err(Unread::Hostile));
}

#[test]
fn what_is_laid_out_otherwise_is_hostile_and_a_later_version_is_not() {
    let written = saying(7, Some(pointing(1))).write();
    assert!(Saying::open(&sealed(&written), &key(), ADA).is_ok());
    for length in 0..written.len() {
        assert_eq!(Saying::open(&sealed(&written[..length]), &key(), ADA), Err(Unread::Hostile), "{length}");
    }
    let longer = [&written[..], &[0]].concat();
    assert_eq!(Saying::open(&sealed(&longer), &key(), ADA), Err(Unread::Hostile));
    for bits in [f64::NAN.to_bits(), f64::INFINITY.to_bits(), (-0.0_f64).to_bits()] {
        let mut wrong = written.clone();
        wrong.splice(44..52, bits.to_be_bytes());
        assert_eq!(Saying::open(&sealed(&wrong), &key(), ADA), Err(Unread::Hostile), "{bits:x}");
    }
    for (at, byte) in [(0, 0), (41, 0), (41, 3), (42, 2), (43, 2)] {
        let mut wrong = written.clone();
        wrong[at] = byte;
        assert_eq!(Saying::open(&sealed(&wrong), &key(), ADA), Err(Unread::Hostile), "{byte} at {at}");
    }
    let later = [&[VERSION + 1], &written[1..], &[1, 2, 3]].concat();
    assert_eq!(Saying::open(&sealed(&later), &key(), ADA), Err(Unread::Newer));
}

#[test]
fn of_what_one_device_shows_the_newest_counts_and_it_ends_by_itself() {
    let mut seen = Seen::default();
    let at = |ms| Instant(ms);
    let shown = |seen: &Seen, ms| seen.at(ENTITY, at(ms)).count();
    assert!(seen.take(saying(5 << 32 | 2, Some(pointing(0))), at(0)));
    assert!(!seen.take(saying(5 << 32 | 1, None), at(1)), "it was said before");
    assert!(!seen.take(saying(5 << 32 | 2, None), at(1)), "it was said already");
    assert_eq!((shown(&seen, 9_999), shown(&seen, 10_000)), (1, 0));
    assert!(seen.take(saying(4 << 32 | 1, None), at(2)), "it has started anew");
    assert_eq!(shown(&seen, 3), 0);
    assert!(seen.take(saying(4 << 32 | 2, Some(pointing(1))), at(4)));
    assert_eq!(seen.ends(), Some(at(10_004)));
    assert_eq!(seen.forget(at(10_003)), []);
    assert_eq!(seen.forget(at(10_004)), [ENTITY], "listeners are told");
    assert_eq!(seen.len(), 0);
}

#[test]
fn one_device_is_seen_at_so_many_places_and_shows_itself_at_as_many() {
    let (mut seen, mut own, now) = (Seen::default(), Own::default(), Instant(50));
    let place = |number: usize| EntityId(*blake3::hash(&number.to_be_bytes()).as_bytes());
    for number in 0..=PRESENCE_PLACES_MAX {
        let saying = Saying { place: place(number), ..saying(1, Some(Presence::Typing)) };
        assert_eq!(seen.take(saying, now), number < PRESENCE_PLACES_MAX);
        own.show((place(number), Scene::Chat), Some(Presence::Typing), Instant(50 + number as u64));
    }
    assert_eq!((seen.len(), own.shown.len()), (PRESENCE_PLACES_MAX, PRESENCE_PLACES_MAX));
    assert!(!own.shown.contains_key(&(place(0), Scene::Chat)), "what was said longest ago gives way");
}

#[test]
fn what_changes_before_it_is_said_is_skipped_and_all_places_have_their_turn() {
    let mut own = Own::default();
    let (canvas, chat) = ((ENTITY, Scene::Canvas), (ENTITY, Scene::Chat));
    own.show(canvas, Some(pointing(1)), Instant(1));
    own.show(chat, Some(Presence::Typing), Instant(2));
    own.show(canvas, Some(pointing(2)), Instant(3));
    assert_eq!(own.next(), Some(canvas));
    let first = own.say(canvas, 9).unwrap();
    assert_eq!((first.number, first.presence), (9 << 32 | 1, Some(pointing(2))));
    own.show(canvas, None, Instant(4));
    assert_eq!(own.next(), Some(chat), "it has waited longer");
    assert_eq!(own.say(chat, 8).unwrap().number, 9 << 32 | 2, "one start of a node counts on");
    assert_eq!(own.say(canvas, 8).unwrap().presence, None);
    assert_eq!((own.next(), own.shown.len()), (None, 1));
}
