//! The bytes of statements: test vectors, bounds, and that each statement has one encoding.

mod cast;

use cast::*;
use fourword_protocol::bytes::{Reader, Writer};
use fourword_protocol::identity::SignatureBytes;
use fourword_protocol::ids::{EntityId, StatementId};
use fourword_protocol::limits::{
    INVITE_USES_MAX, SEALS_PER_STATEMENT_MAX, STATEMENT_BYTES_MAX, VECTOR_LOGS_MAX,
};
use fourword_protocol::roster::statement::StatementError;
use fourword_protocol::roster::{Body, Rejection, Role, Roster, Signer, Statement};
use fourword_protocol::time::WallTime;
use proptest::prelude::*;

/// One body of each kind.
fn bodies() -> Vec<Body> {
    let key = code(EntityId([0; 32]), 1).key();
    let vectors = vectors("ben", 7);
    let seals = seals(&["ada", "ben"]);
    let signature: SignatureBytes = [6; 64];
    let certificate = certificate("ben");
    vec![
        Body::Genesis(genesis("ada")),
        Body::Add { certificate: certificate.clone(), role: Role::Admin },
        Body::Remove { person: person("ben"), vectors: vectors.clone() },
        Body::SetRole { person: person("ben"), role: Role::Viewer, vectors: vectors.clone() },
        Body::Certify { device: card("ben/laptop") },
        Body::Revoke { person: person("ben"), key: cast::key("ben"), vectors: vectors.clone() },
        Body::OpenInvite { key, role: Role::Member, expires: WallTime(9), uses: 3 },
        Body::CloseInvite { invite: StatementId([1; 32]) },
        Body::AcceptInvite { invite: StatementId([1; 32]), certificate, signature },
        Body::Leave { vectors: vectors.clone() },
        Body::Held { removal: StatementId([2; 32]), vectors },
        Body::Epoch { counter: 4, commitment: [5; 32], seals: seals.clone() },
        Body::SealKey { epoch: StatementId([3; 32]), seals },
        Body::Unknown { kind: 14, bytes: vec![1, 2, 3] },
    ]
}

fn written(body: &Body) -> Vec<u8> {
    let mut writer = Writer::new();
    body.write(&mut writer);
    writer.into_bytes()
}

fn read(bytes: &[u8]) -> Option<Body> {
    let mut reader = Reader::new(bytes);
    let body = Body::read(&mut reader).ok()?;
    reader.finish().ok()?;
    Some(body)
}

#[test]
fn every_kind_of_body_reads_back_as_written() {
    for (number, body) in (1u8..).zip(bodies()) {
        let bytes = written(&body);
        assert_eq!(bytes[0], number, "{body:?}");
        assert_eq!(read(&bytes), Some(body));
    }
}

#[test]
fn an_invite_admits_up_to_its_bound_and_not_once_more_or_never() {
    let key = code(EntityId([0; 32]), 1).key();
    let invite = |uses| Body::OpenInvite { key, role: Role::Member, expires: WallTime(9), uses };
    for uses in [1, INVITE_USES_MAX] {
        assert_eq!(read(&written(&invite(uses))), Some(invite(uses)));
    }
    for uses in [0, INVITE_USES_MAX + 1, u32::MAX] {
        assert_eq!(read(&written(&invite(uses))), None);
    }
}

#[test]
fn a_body_cut_short_or_with_more_behind_is_refused() {
    for body in bodies() {
        let Body::Unknown { .. } = body else {
            let bytes = written(&body);
            let fields = &bytes[5..];
            for length in 0..fields.len() {
                let mut writer = Writer::new();
                writer.u8(bytes[0]).bytes(&fields[..length]);
                assert_eq!(read(writer.as_slice()), None, "{body:?} cut to {length}");
            }
            let mut writer = Writer::new();
            writer.u8(bytes[0]).bytes(&[fields, &[0]].concat());
            assert_eq!(read(writer.as_slice()), None, "{body:?} with a byte more");
            continue;
        };
    }
}

#[test]
fn lists_out_of_order_or_twice_are_refused() {
    let mut vectors = [vectors("ada", 1), vectors("ben", 1)].concat();
    vectors.sort();
    let leave = |vectors: &[_]| read(&written(&Body::Leave { vectors: vectors.to_vec() }));
    assert!(leave(&vectors).is_some());
    vectors.reverse();
    assert!(leave(&vectors).is_none());
    assert!(leave(&[vectors[0], vectors[0]]).is_none());
    let mut seals = seals(&["ada", "ben"]);
    seals.reverse();
    let epoch = Body::Epoch { counter: 1, commitment: [0; 32], seals };
    assert!(read(&written(&epoch)).is_none());
}

#[test]
fn codes_and_numbers_out_of_range_are_refused() {
    let open = |uses| {
        let key = code(EntityId([0; 32]), 1).key();
        read(&written(&Body::OpenInvite { key, role: Role::Member, expires: WallTime(1), uses }))
    };
    assert!(open(1).is_some() && open(0).is_none() && open(u32::MAX).is_none());
    let mut bytes = written(&Body::Add { certificate: certificate("ben"), role: Role::Owner });
    *bytes.last_mut().unwrap() = 5;
    assert_eq!(read(&bytes), None);
    *bytes.last_mut().unwrap() = 0;
    assert_eq!(read(&bytes), None);
}

#[test]
fn the_largest_statements_fit() {
    let mut group = Replica::founded_by("ada");
    let names: Vec<String> = (0..SEALS_PER_STATEMENT_MAX).map(|n| format!("ada/{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    group.says("ada", epoch(1, &names));
    let mut vectors: Vec<_> = names.iter().map(|name| (log(name), cast::head(1))).collect();
    vectors.extend(
        (SEALS_PER_STATEMENT_MAX..VECTOR_LOGS_MAX).map(|n| (log(&format!("ben/{n}")), cast::head(1))),
    );
    vectors.sort();
    group.says("ada", Body::Remove { person: person("ben"), vectors: vectors.clone() });

    vectors.push((log("one too many"), cast::head(1)));
    vectors.sort();
    let signer = device("ada");
    let body = Body::Remove { person: person("ben"), vectors };
    assert!(group.roster.draft(Signer::Device(&signer), body).is_err());
    let body = Body::Unknown { kind: 99, bytes: vec![0; STATEMENT_BYTES_MAX] };
    assert!(group.roster.draft(Signer::Device(&signer), body).is_err());
}

#[test]
fn a_statement_with_any_byte_changed_is_refused_or_is_another() {
    let mut group = Replica::of("ada", &[("ben", Role::Member)]);
    let id = group.says("ada", set_role("ben", Role::Viewer));
    let bytes = group.roster.bytes(&id).unwrap();
    for place in 0..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[place] ^= 1;
        assert!(Statement::read(&changed).is_err(), "byte {place}");
        assert!(Statement::read(&bytes[..place]).is_err(), "cut to {place}");
    }
    let longer = [bytes, &[0]].concat();
    assert!(Statement::read(&longer).is_err());
    assert_eq!(Statement::read(&[9; 200]), Err(StatementError::Version));
    assert_eq!(Statement::read(&vec![1; STATEMENT_BYTES_MAX + 1]), Err(StatementError::TooLarge));
}

#[test]
fn a_genesis_names_its_entity_without_being_signed() {
    let mut genesis = genesis("ada");
    let first = genesis.entity();
    genesis.nonce = 1;
    assert_ne!(genesis.entity(), first);
    let signed = genesis.clone().sign(&device("ada")).unwrap();
    assert_eq!(signed.entity(), genesis.entity());
    assert_eq!(signed.id().0, genesis.entity().0);
    assert_eq!(signed.membership(), signed.id());
    assert_eq!(Statement::read(signed.bytes()), Ok(signed.clone()));
    assert!(Roster::new(signed).is_ok());
    assert_eq!(genesis.sign(&device("ben")), Err(StatementError::Signature));
}

#[test]
fn a_genesis_with_a_certificate_of_another_person_begins_nothing() {
    let mut genesis = genesis("ada");
    genesis.creator.person.nonce = 5;
    let signed = genesis.sign(&device("ada")).unwrap();
    assert_eq!(Roster::new(signed).err(), Some(Rejection::Certificate));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_fail_other_than_by_refusing(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut versioned = bytes.clone();
        if let Some(version) = versioned.first_mut() {
            *version = 1;
        }
        prop_assert!(Statement::read(&bytes).is_err());
        prop_assert!(Statement::read(&versioned).is_err());
        if let Some(body) = read(&bytes) {
            prop_assert_eq!(written(&body), bytes);
        }
    }

    #[test]
    fn what_is_read_as_a_body_is_written_the_same(
        number in 0..14usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = written(&bodies()[number]);
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Some(body) = read(&bytes) {
            prop_assert_eq!(written(&body), bytes);
        }
    }
}
