//! What each operation of a chat does, and what it refuses.

use fourword_protocol::command::RefusalCode;
use fourword_protocol::limits::{ATTACHMENTS_MAX, TEXT_BYTES_MAX};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::chat::{Attachment, ChatError, Lookup, MessageId, NewMessage};
use fourword_protocol::schema::rights::Denied;
use fourword_protocol::time::WallTime;

use crate::maps::{Room, actor, ada, admin, ben, plain, viewer};

const LATER: WallTime = WallTime(900);

fn unknown() -> MessageId {
    MessageId { owner: ada().owner(), random: [99; 8] }
}

fn file(name: &str) -> Attachment {
    Attachment { blob: [7; 32], size_bytes: 12, name: name.into() }
}

#[test]
fn a_message_is_shown_as_it_was_sent() {
    let mut room = Room::default();
    let first = room.say(&ada(), 1, "hello");
    let new = NewMessage { text: "see this".into(), parent: Some(first), attachments: vec![file("plan.md")] };
    let (id, put) = room.chat().send(&ben(), [2; 8], &new, WallTime(20)).unwrap();
    assert_eq!(room.chat().message(id), None, "nothing is shown before the write is applied");
    room.apply(&put);

    let shown = room.chat().message(id).unwrap();
    assert_eq!((shown.id.owner, shown.time), (ben().owner(), WallTime(20)));
    assert_eq!((shown.text.as_str(), shown.parent), ("see this", Some(first)));
    assert_eq!(shown.attachments, [file("plan.md")]);
    assert!(!shown.edited && !shown.deleted);
}

#[test]
fn a_message_needs_a_text_or_a_file() {
    let room = Room::default();
    let send = |new: &NewMessage| room.chat().send(&ada(), [1; 8], new, LATER).map(|_| ());
    assert_eq!(send(&plain("")), Err(ChatError::Empty));
    assert_eq!(send(&plain(" \n\t")), Err(ChatError::Empty));
    assert_eq!(send(&NewMessage { attachments: vec![file("a")], ..plain("") }), Ok(()));
}

#[test]
fn a_text_may_be_as_long_as_the_limit_and_no_longer() {
    let mut room = Room::default();
    let longest = "x".repeat(TEXT_BYTES_MAX);
    let id = room.say(&ada(), 1, &longest);
    assert_eq!(room.text(id), longest);

    let over = format!("{longest}x");
    let refused = room.chat().send(&ada(), [2; 8], &plain(&over), LATER).unwrap_err();
    assert_eq!(refused, ChatError::TooLong(TEXT_BYTES_MAX + 1));
    assert_eq!(refused.to_string(), "the text is 65537 bytes long, and a message holds at most 65536");
    assert_eq!(room.chat().edit(&ada(), id, &over, LATER), Err(ChatError::TooLong(TEXT_BYTES_MAX + 1)));
}

#[test]
fn the_largest_message_with_all_attachments_is_kept() {
    let mut room = Room::default();
    let attachments = vec![file(&"n".repeat(256)); ATTACHMENTS_MAX];
    let new = NewMessage { attachments, ..plain(&"x".repeat(TEXT_BYTES_MAX)) };
    let (id, put) = room.chat().send(&ada(), [1; 8], &new, LATER).unwrap();
    room.apply(&put);
    assert_eq!(room.chat().message(id).unwrap().attachments, new.attachments);

    let more = NewMessage { attachments: vec![file("n"); ATTACHMENTS_MAX + 1], ..plain("x") };
    let refused = room.chat().send(&ada(), [2; 8], &more, LATER);
    assert_eq!(refused, Err(ChatError::TooManyAttachments(ATTACHMENTS_MAX + 1)));
}

#[test]
fn an_attachment_cannot_name_a_path() {
    let room = Room::default();
    for name in ["", ".", "..", "../up", "a/b", "a\\b", "line\nbreak", "turned\u{202e}gpj.exe"] {
        let new = NewMessage { attachments: vec![file(name)], ..plain("x") };
        let refused = room.chat().send(&ada(), [1; 8], &new, LATER);
        assert_eq!(refused, Err(ChatError::NoFileName(name.into())));
    }
}

#[test]
fn a_reply_needs_a_parent_that_is_here_and_not_deleted() {
    let mut room = Room::default();
    let reply = |parent| NewMessage { parent: Some(parent), ..plain("yes") };
    let refused = room.chat().send(&ada(), [5; 8], &reply(unknown()), LATER);
    assert_eq!(refused, Err(ChatError::Unknown(unknown())));

    let id = room.say(&ada(), 1, "question");
    let delete = room.chat().delete(&ada(), id, LATER).unwrap();
    room.apply(&delete);
    assert_eq!(room.chat().send(&ben(), [5; 8], &reply(id), LATER), Err(ChatError::Deleted(id)));
}

#[test]
fn a_name_in_use_is_not_written_again() {
    let mut room = Room::default();
    let id = room.say(&ada(), 1, "first");
    assert_eq!(room.chat().send(&ada(), [1; 8], &plain("second"), LATER), Err(ChatError::Taken(id)));
    assert!(room.chat().send(&ben(), [1; 8], &plain("second"), LATER).is_ok(), "names are per author");
}

#[test]
fn an_author_edits_its_message_and_the_latest_text_is_shown() {
    let mut room = Room::default();
    let id = room.say(&ada(), 1, "helo");
    for text in ["hello", "hello, all"] {
        let put = room.chat().edit(&ada(), id, text, LATER).unwrap().unwrap();
        room.apply(&put);
        let shown = room.chat().message(id).unwrap();
        assert_eq!((shown.text.as_str(), shown.edited, shown.time), (text, true, WallTime(1)));
    }
    assert_eq!(room.chat().edit_time(id), Some(LATER));
    assert_eq!(room.chat().edit(&ada(), id, "hello, all", LATER), Ok(None), "nothing would change");
}

#[test]
fn nobody_edits_anothers_message() {
    let mut room = Room::default();
    let id = room.say(&ada(), 1, "mine");
    for actor in [ben(), admin(), actor(9, Role::Owner)] {
        let refused = room.chat().edit(&actor, id, "yours", LATER).unwrap_err();
        assert_eq!(refused, ChatError::NotAuthor(id));
        assert_eq!(refused.to_string(), "message aeaqcaib can be edited by its author only");
        assert_eq!(refused.code(), RefusalCode::NotAllowed);
    }
}

#[test]
fn what_is_unknown_or_deleted_is_not_edited_deleted_reacted_to_or_pinned() {
    let mut room = Room::default();
    let id = room.say(&ada(), 1, "gone soon");
    let delete = room.chat().delete(&ada(), id, LATER).unwrap();
    room.apply(&delete);

    for (id, error) in [(id, ChatError::Deleted(id)), (unknown(), ChatError::Unknown(unknown()))] {
        let chat = room.chat();
        assert_eq!(chat.edit(&ada(), id, "back", LATER), Err(error.clone()));
        assert_eq!(chat.delete(&ada(), id, LATER), Err(error.clone()));
        assert_eq!(chat.react(&ada(), id, "👍", true), Err(error.clone()));
        assert_eq!(chat.pin(&ada(), id, true), Err(error.clone()));
        assert_eq!(error.code(), RefusalCode::NotFound);
    }
    assert_eq!(ChatError::Deleted(id).to_string(), "message aeaqcaib was deleted");
    assert_eq!(ChatError::Unknown(id).to_string(), "there is no message aeaqcaib in this chat");
}

#[test]
fn an_edit_needs_a_text() {
    let mut room = Room::default();
    let id = room.say(&ada(), 1, "text");
    assert_eq!(room.chat().edit(&ada(), id, "  ", LATER), Err(ChatError::Empty));
}

#[test]
fn an_author_or_an_admin_deletes_a_message_and_nobody_else() {
    for (actor, may) in [(ada(), true), (admin(), true), (ben(), false)] {
        let mut room = Room::default();
        let id = room.say(&ada(), 1, "secret");
        match room.chat().delete(&actor, id, LATER) {
            Ok(put) => room.apply(&put),
            Err(error) => {
                assert_eq!(error, ChatError::Denied(Denied::NeedsRole(Role::Admin)));
                assert_eq!(error.to_string(), "only admins and owners may do this");
            }
        }
        let shown = room.chat().message(id).unwrap();
        assert_eq!((shown.deleted, shown.text.is_empty()), (may, may));
    }
}

#[test]
fn a_deleted_message_shows_nothing_of_its_content() {
    let mut room = Room::default();
    let parent = room.say(&ada(), 1, "parent");
    let new = NewMessage { text: "x".into(), parent: Some(parent), attachments: vec![file("a")] };
    let (id, sent) = room.chat().send(&ada(), [2; 8], &new, WallTime(2)).unwrap();
    room.apply(&sent);
    let overlays = [
        room.chat().edit(&ada(), id, "y", LATER).unwrap().unwrap(),
        room.chat().react(&ben(), id, "👍", true).unwrap().unwrap(),
        room.chat().pin(&ben(), id, true).unwrap().unwrap(),
        room.chat().delete(&ada(), id, LATER).unwrap(),
    ];
    overlays.iter().for_each(|put| room.apply(put));

    let shown = room.chat().message(id).unwrap();
    assert_eq!((shown.text.as_str(), shown.edited, shown.deleted), ("", false, true));
    assert!(shown.attachments.is_empty());
    assert_eq!(shown.parent, Some(parent), "the thread keeps its shape");
    assert!(room.chat().reactions(id).is_empty());
    assert!(room.chat().pins(id).is_empty());
}

#[test]
fn each_member_sets_and_takes_back_its_own_reactions_only() {
    let mut room = Room::default();
    let id = room.say(&ada(), 1, "cake?");
    for (actor, emoji) in [(ben(), "👍"), (ada(), "👍"), (ada(), "🍰")] {
        let put = room.chat().react(&actor, id, emoji, true).unwrap().unwrap();
        room.apply(&put);
    }
    let (a, b) = (ada().owner(), ben().owner());
    assert_eq!(room.chat().reactions(id), [("🍰".into(), vec![a]), ("👍".into(), vec![a, b])]);
    assert_eq!(room.chat().react(&ben(), id, "👍", true), Ok(None), "it stands already");
    assert_eq!(room.chat().react(&ben(), id, "🍰", false), Ok(None), "it never stood");

    let put = room.chat().react(&ben(), id, "👍", false).unwrap().unwrap();
    room.apply(&put);
    assert_eq!(room.chat().reactions(id), [("🍰".into(), vec![a]), ("👍".into(), vec![a])]);
}

#[test]
fn a_reaction_is_short_and_without_blanks() {
    let mut room = Room::default();
    let id = room.say(&ada(), 1, "x");
    let longest = "e".repeat(64);
    for emoji in ["👍", "👩🏽‍❤️‍💋‍👨🏻", "ok", &longest] {
        assert!(room.chat().react(&ada(), id, emoji, true).is_ok(), "{emoji}");
    }
    let over = "e".repeat(65);
    for emoji in ["", " ", "a b", "a|b", "a\n", "\u{1b}[2J", "\u{202e}", &over] {
        assert_eq!(room.chat().react(&ada(), id, emoji, true), Err(ChatError::NoEmoji), "{emoji:?}");
    }
}

#[test]
fn a_message_is_pinned_while_at_least_one_pin_stands() {
    let mut room = Room::default();
    let id = room.say(&ada(), 1, "rules");
    for (actor, on, pinned) in
        [(ben(), true, true), (ada(), true, true), (ben(), false, true), (ada(), false, false)]
    {
        let put = room.chat().pin(&actor, id, on).unwrap().unwrap();
        room.apply(&put);
        assert_eq!(!room.chat().pins(id).is_empty(), pinned);
        assert_eq!(room.chat().pins(id).contains(&actor.owner()), on);
        assert_eq!(room.chat().pin(&actor, id, on), Ok(None), "it stands so already");
    }
}

#[test]
fn a_viewer_does_nothing_in_a_chat() {
    let mut room = Room::default();
    let as_member = actor(4, Role::Member);
    let own = room.say(&as_member, 1, "written before the demotion");
    let denied = ChatError::Denied(Denied::ReadOnly);
    let (chat, viewer) = (room.chat(), viewer());
    assert_eq!(chat.send(&viewer, [5; 8], &plain("x"), LATER), Err(denied.clone()));
    assert_eq!(chat.edit(&viewer, own, "x", LATER), Err(denied.clone()));
    assert_eq!(chat.delete(&viewer, own, LATER), Err(denied.clone()));
    assert_eq!(chat.react(&viewer, own, "👍", true), Err(denied.clone()));
    assert_eq!(chat.pin(&viewer, own, true), Err(denied));
}

#[test]
fn a_message_is_found_by_its_full_name_or_by_enough_digits() {
    let mut room = Room::default();
    let one = room.say(&ada(), 0b0000_0001, "one");
    let two = room.say(&ben(), 0b0000_0010, "two");
    let high = room.say(&ben(), 0xff, "last");
    for id in [one, two, high] {
        for text in [id.to_string(), id.to_string().to_uppercase(), id.short(), id.short().to_uppercase()] {
            assert_eq!(room.chat().find(&text), Lookup::Found(id), "{text}");
        }
        let digits: String = id.to_string().chars().skip(27).collect();
        assert_eq!(room.chat().find(&digits), Lookup::Found(id));
    }
    assert_eq!(room.chat().find("a"), Lookup::Ambiguous(vec![one, two]));
    assert_eq!(room.chat().find(&unknown().to_string()), Lookup::Missing);
    for text in ["", "zzzz", "no such", "ä", "aeaqcaibaeaqc7", &"7".repeat(13), &"a".repeat(1000)] {
        assert_eq!(room.chat().find(text), Lookup::Missing, "{text}");
    }
}

#[test]
fn an_ambiguous_name_lists_a_few_messages_only() {
    let mut room = Room::default();
    let all: Vec<MessageId> = (0..20)
        .map(|i| {
            let (id, put) = room.chat().send(&ada(), [0, 0, 0, 0, 0, 0, 0, i], &plain("x"), LATER).unwrap();
            room.apply(&put);
            id
        })
        .collect();
    assert_eq!(room.chat().find(&all[0].short()), Lookup::Ambiguous(all[..8].to_vec()));
}
