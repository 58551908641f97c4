//! How documents, messages and persons are named.

use std::collections::BTreeSet;

use fourword_protocol::command::Kind;
use fourword_protocol::ids::PersonId;
use fourword_protocol::limits::{
    CANVAS_BYTES_MAX, CHAT_BYTES_MAX, CORE_BYTES_MAX, ISSUES_BYTES_MAX, KANBAN_BYTES_MAX, SNAPSHOT_BYTES_MAX,
};
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::schema::thing::ThingIdError;
use fourword_protocol::schema::{Concern, FileId, document_id, document_key, key, roots};

const ALL: [Concern; 8] = [
    Concern::Core,
    Concern::Chat,
    Concern::Kanban,
    Concern::Issues,
    Concern::Canvas,
    Concern::Disk,
    Concern::File(FileId([0; 16])),
    Concern::Home,
];

#[test]
fn a_document_is_shown_by_kind_words_and_concern() {
    let shown =
        |concern: &Concern, segment| document_id(Kind::Group, "ocean-forest-moon-star", concern, segment);
    assert_eq!(shown(&Concern::Chat, 1), "group:ocean-forest-moon-star:chat");
    assert_eq!(shown(&Concern::Chat, 2), "group:ocean-forest-moon-star:chat/2");
    assert_eq!(shown(&Concern::Core, 1), "group:ocean-forest-moon-star:core");
    let file = Concern::File(FileId([0; 16]));
    assert_eq!(shown(&file, 1), "group:ocean-forest-moon-star:file/aaaaaaaaaaaaaaaaaaaaaaaaaa");
}

#[test]
fn a_series_numbers_its_documents_and_others_have_one() {
    assert_eq!(Concern::Chat.segment_name(1), "chat/1");
    assert_eq!(Concern::Issues.segment_name(12), "issues/12");
    assert_eq!(Concern::Core.segment_name(3), "core");
    assert_eq!(document_key(&[1; 32], &Concern::Core, 1), document_key(&[1; 32], &Concern::Core, 2));
}

#[test]
fn documents_are_bounded_and_chats_alone_go_on() {
    for (concern, bytes) in [
        (Concern::Core, CORE_BYTES_MAX),
        (Concern::Chat, CHAT_BYTES_MAX),
        (Concern::Kanban, KANBAN_BYTES_MAX),
        (Concern::Issues, ISSUES_BYTES_MAX),
        (Concern::Canvas, CANVAS_BYTES_MAX),
    ] {
        assert_eq!(concern.bytes_max(), Some(bytes));
        assert_eq!(concern.goes_on(), concern == Concern::Chat);
        // A snapshot holds the content and its index.
        assert!(bytes * 4 <= u64::try_from(SNAPSHOT_BYTES_MAX).unwrap());
    }
}

#[test]
fn every_document_of_every_entity_has_its_own_key() {
    let mut keys = BTreeSet::new();
    let mut expected = 0;
    for secret in [[1; 32], [2; 32]] {
        for concern in ALL.iter().chain(&[Concern::File(FileId([1; 16]))]) {
            for segment in 1..=if concern.is_series() { 3 } else { 1 } {
                keys.insert(document_key(&secret, concern, segment));
                expected += 1;
            }
        }
    }
    assert_eq!(keys.len(), expected);
}

#[test]
fn document_keys_never_change_between_versions() {
    let key = document_key(&[1; 32], &Concern::Chat, 1);
    assert_eq!(key.to_string(), "a77bffeffb9fca68048fe1d741767e493c66d4afa42ca9a09f934f121fceb885");
}

#[test]
fn each_concern_declares_its_root_maps_once() {
    assert_eq!(roots(&Concern::Core), ["meta", "names", "children"]);
    assert_eq!(roots(&Concern::Chat), ["messages", "edits", "deleted", "reactions", "pins"]);
    assert_eq!(roots(&Concern::Home), ["groups", "read", "settings", "drafts"]);
    for concern in ALL {
        let names: BTreeSet<_> = roots(&concern).iter().collect();
        assert_eq!(names.len(), roots(&concern).len());
    }
}

#[test]
fn a_messages_name_reads_back_in_either_case_and_needs_no_quoting() {
    let id = MessageId { owner: [0xab; 16], random: [0xcd; 8] };
    let text = id.to_string();
    assert_eq!(text.len(), 40);
    assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
    assert_eq!(text.parse(), Ok(id));
    assert_eq!(text.to_uppercase().parse(), Ok(id));
    assert!(text.split('-').nth(1).unwrap().starts_with(&id.short()));
    for foreign in
        ["", "-", &text[1..], &text[..39], &text.replace('-', "|"), &format!("{text}-"), &format!("{text}a")]
    {
        assert_eq!(foreign.parse::<MessageId>(), Err(ThingIdError), "{foreign}");
    }
}

#[test]
fn a_person_is_named_by_the_first_half_of_its_id() {
    let mut id = [0; 32];
    id.iter_mut().enumerate().for_each(|(i, byte)| *byte = i as u8);
    let owner = key::owner(&PersonId(id));
    assert_eq!(owner.to_vec(), (0..16).collect::<Vec<u8>>());
}
