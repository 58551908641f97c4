//! Who may write what, end to end: an attempt is void on every node, whatever came first, its log
//! goes on, and nothing of it is shown.

use fourword_protocol::ids::{Digest, to_base32};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::update::BlockId;

use crate::attack::HONEST;
use crate::grammar::{Block, Id, Tie, Update};
use crate::mirror::Verdict;
use crate::siege::{Log, Siege};
use crate::writer::{number, record, string};

const CHAT: usize = 0;
const CORE: usize = 1;

fn message(text: &str) -> Vec<u8> {
    [vec![1, 0, 5], string(text)].concat()
}

fn edit(text: &str) -> Vec<u8> {
    [vec![1, 5], string(text)].concat()
}

const DELETION: [u8; 2] = [1, 5];
const FLAG: [u8; 2] = [1, 1];

/// A message of ada's that is there, by its key, and the block that holds it.
fn victim(siege: &mut Siege) -> (String, Id) {
    let id = siege.a.c.send_message("ada", siege.a.group, "mine alone");
    siege.stands();
    let key = format!("{}|{}", to_base32(&id.owner), to_base32(&id.random));
    let ends = siege.mirrors[CHAT].document.clock_ends();
    let ada = to_base32(&siege.honest("ada").owner());
    assert!(key.starts_with(&ada));
    let index = siege.mirrors[CHAT].document.index();
    let blocks =
        ends.into_iter().flat_map(|(client, end)| (0..end).map(move |clock| BlockId { client, clock }));
    let mut blocks = blocks.filter(|block| {
        index.resolve(*block).and_then(|known| known.place()).is_some_and(|place| *place.key == *key)
    });
    let block = blocks.next().unwrap();
    (key, (block.client, block.clock.into()))
}

fn content(siege: &Siege) -> [Digest; 2] {
    [CHAT, CORE].map(|of| siege.mirrors[of].document.content_digest())
}

/// Writes one block as an update of its own that must be void.
fn void(siege: &mut Siege, log: &mut Log, what: &str, block: Block) {
    let update = Update::of(log.client, siege.clock(log), vec![block]);
    assert_eq!(siege.write(log, &update.bytes()), Verdict::Void, "{what}");
}

fn after(block: Id, bytes: &[u8]) -> Block {
    Block::Item { tie: Tie::Origins(Some(block), None), kind: 8, body: record(bytes) }
}

#[test]
fn what_a_member_writes_in_anothers_name_or_beyond_its_role_is_void_everywhere() {
    let mut siege = Siege::new(700, Role::Member);
    let (theirs, block) = victim(&mut siege);
    let ada = theirs.split('|').next().unwrap().to_owned();
    let own = to_base32(&siege.actor().owner());
    let before = content(&siege);
    let attempts = [
        ("a message anew", Block::put("messages", &theirs, &message("hostile"))),
        (
            "a message never written",
            Block::put("messages", &format!("{ada}|{}", to_base32(&[9; 8])), &message("hostile")),
        ),
        ("a message overwritten", after(block, &message("hostile"))),
        ("a message deleted by overwriting", after(block, &DELETION)),
        ("an edit", Block::put("edits", &theirs, &edit("hostile"))),
        ("a deletion as its author", Block::put("deleted", &format!("{ada}|{theirs}"), &DELETION)),
        ("a deletion without being an admin", Block::put("deleted", &format!("{own}|{theirs}"), &DELETION)),
        ("a reaction", Block::put("reactions", &format!("{ada}|{theirs}|👍"), &FLAG)),
        ("a pin", Block::put("pins", &format!("{ada}|{theirs}"), &FLAG)),
        (
            "a nested map in its place",
            Block::Item { tie: Tie::Root("messages".into(), Some(theirs.clone())), kind: 7, body: vec![1] },
        ),
        (
            "a field of it",
            Block::Item { tie: Tie::Nested(block, Some("text".into())), kind: 8, body: record(&FLAG) },
        ),
    ];
    let mut log = siege.log(CHAT);
    for (what, attempt) in attempts {
        void(&mut siege, &mut log, what, attempt);
    }
    let mut core = siege.log(CORE);
    let attempts = [
        ("the group's name", "meta", "name".to_owned(), edit("")),
        ("the group's name", "meta", "name".to_owned(), [vec![1], string("ours")].concat()),
        ("a setting", "meta", "settings|newcomers-read-history".to_owned(), vec![1, 1, 0]),
        ("a role", "meta", format!("role|{own}"), vec![1, 3]),
        ("a list of members", "members", own.clone(), vec![1, 3]),
        ("another's shown name", "names", ada.clone(), [vec![1], string("hostile")].concat()),
    ];
    for (what, root, key, value) in attempts {
        void(&mut siege, &mut core, what, Block::put(root, &key, &value));
    }
    siege.stands();
    let shown = siege.shown();
    assert!(shown.contains(&"mine alone".into()) && shown.iter().all(|text| !text.contains("hostile")));
    assert_eq!(content(&siege)[CORE], before[CORE]);
    // The logs go on: what the attacker may write is taken.
    let own_message = Block::put("messages", &format!("{own}|{}", to_base32(&[1; 8])), &message("goes on"));
    let update = Update::of(log.client, siege.clock(&log), vec![own_message]);
    assert_eq!(siege.write(&mut log, &update.bytes()), Verdict::Applied);
    siege.stands();
    assert!(siege.shown().contains(&"goes on".into()));
}

#[test]
fn what_builds_on_void_content_or_deletes_is_void_and_another_clients_blocks_end_the_log() {
    let mut siege = Siege::new(701, Role::Member);
    let (theirs, block) = victim(&mut siege);
    let before = content(&siege);
    let mut log = siege.log(CHAT);
    void(&mut siege, &mut log, "an edit of another's", Block::put("edits", &theirs, &edit("hostile")));
    let rejected = (log.client, 0);
    void(&mut siege, &mut log, "what follows it", after(rejected, &edit("hostile still")));
    void(&mut siege, &mut log, "what lies in it", {
        let tie = Tie::Nested(rejected, Some("text".into()));
        Block::Item { tie, kind: 8, body: record(&FLAG) }
    });
    let deleting = |client: u64, clock: u64, of: Id| Update {
        deletions: vec![(of.0, vec![(of.1, 1)])],
        ..Update::of(client, clock, vec![Block::Gone(1)])
    };
    let update = deleting(log.client, siege.clock(&log), block);
    assert_eq!(siege.write(&mut log, &update.bytes()), Verdict::Void);
    let only = Update { sections: vec![], ..update };
    assert_eq!(siege.write(&mut log, &only.bytes()), Verdict::Void);
    let end = siege.mirrors[CHAT].document.next_clock(block.0);
    let theirs = Update::of(block.0, end.into(), vec![after(block, &message("hostile"))]);
    assert_eq!(siege.write(&mut log, &theirs.bytes()), Verdict::Ended);
    siege.deliver();
    siege.agrees();
    assert_eq!(content(&siege), before);
    siege.stands();
}

#[test]
fn a_viewer_writes_nothing_and_reads_on() {
    let mut siege = Siege::new(702, Role::Viewer);
    let before = content(&siege);
    let own = to_base32(&siege.actor().owner());
    let ada = to_base32(&siege.honest("ada").owner());
    let name = to_base32(&[1; 8]);
    let (mut log, mut core) = (siege.log(CHAT), siege.log(CORE));
    void(
        &mut siege,
        &mut log,
        "a message",
        Block::put("messages", &format!("{own}|{name}"), &message("hostile")),
    );
    void(
        &mut siege,
        &mut log,
        "a reaction",
        Block::put("reactions", &format!("{own}|{ada}|{name}|👍"), &FLAG),
    );
    void(&mut siege, &mut log, "a pin", Block::put("pins", &format!("{own}|{ada}|{name}"), &FLAG));
    void(&mut siege, &mut core, "a name", Block::put("names", &own, &[vec![1], string("hostile")].concat()));
    siege.deliver();
    siege.agrees();
    assert_eq!(content(&siege), before);
    siege.stands();
}

/// Both nodes see the same attempts on a message that one of them has and the other has not yet.
fn before_and_after(seed: u64, attempt: impl Fn(&str, Id) -> Block) {
    let mut siege = Siege::new(seed, Role::Member);
    siege.a.c.disconnect("ada", "cem");
    let id: MessageId = siege.a.c.send_message("ada", siege.a.group, "not yet everywhere");
    siege.mirror_honest();
    let key = format!("{}|{}", to_base32(&id.owner), to_base32(&id.random));
    let ends = siege.mirrors[CHAT].document.clock_ends();
    for (client, end) in ends {
        let mut log = siege.log(CHAT);
        void(&mut siege, &mut log, "an attempt", attempt(&key, (client, u64::from(end - 1))));
    }
    siege.deliver();
    assert!(siege.a.read("ada").contains(&"not yet everywhere".into()));
    assert!(!siege.a.read("cem").contains(&"not yet everywhere".into()));
    siege.a.c.connect("ada", "cem");
    siege.stands();
    assert!(siege.shown().contains(&"not yet everywhere".into()));
    for name in HONEST {
        assert_eq!(siege.a.c.queues(name).waiting_envelopes, 0);
    }
}

#[test]
fn an_attempt_on_a_message_is_void_before_the_message_came_and_after() {
    before_and_after(703, |key, _| Block::put("messages", key, &message("hostile")));
    before_and_after(704, |_, block| after(block, &message("hostile")));
    before_and_after(705, |key, _| Block::put("edits", key, &edit("hostile")));
    before_and_after(706, |_, block| {
        let tie = Tie::Nested(block, Some("text".into()));
        Block::Item { tie, kind: 8, body: [vec![1, 116], number(2), FLAG.to_vec()].concat() }
    });
}
