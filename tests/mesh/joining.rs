//! How people come together: by an invite, by four words alone, and in one room without a relay.

use crate::circle::Circle;
use crate::events::now_ms;
use crate::mesh::Mesh;
use crate::node::{Node, eventually, text};
use crate::table::Row;

/// Eight on three networks are in one group and each writes: all read it.
pub(crate) fn all_eight_talk(mesh: &Mesh, circle: &Circle) -> Row {
    let (before, began) = (circle.count(), now_ms());
    circle.all_say("here I am");
    let agreed = circle.agree(before, began);
    let ways = Some(mesh.ways());
    Row { ways, ..Row::of(circle.members.len(), "none", &agreed) }
}

/// Somebody asks to be let in with nothing but the words, real ones, and one relay between the two.
pub(crate) fn by_words_alone(mesh: &Mesh, _: &Circle) -> Row {
    let nodes = mesh.also(&["nell", "omar"]);
    let (nell, omar) = (&nodes[0], &nodes[1]);
    let words = text(&nell.must(&["group", "create", "Tea"])["words"]);
    let began = now_ms();
    let asked = omar.tell(&["join", &words, "--note", "It is me, Omar", "--wait", "55"]);
    assert_eq!((asked.code, text(&asked.out["state"]).as_str()), (7, "requested"), "{asked:?}");
    let requests = || nell.must(&["requests", &words])["requests"].clone();
    eventually("the request is there", || requests()[0]["note"] == "It is me, Omar");
    approve(nell, &words, omar);
    let circle = Circle::met(words, &[nell, omar]);
    circle.say(nell, "welcome");
    circle.say(omar, "thank you");
    let agreed = circle.agree(0, began);
    let bytes = nodes.iter().map(Node::received).sum();
    Mesh::done(&nodes);
    Row { bytes, ..Row::of(2, "no common network", &agreed) }
}

/// Three in one ordinary network find each other without a relay or an address.
pub(crate) fn near(mesh: &Mesh, _: &Circle) -> Row {
    let nodes = mesh.also(&["pam", "quin", "rosa"]);
    let began = now_ms();
    eventually("all three have met", || nodes.iter().all(|node| node.peers() == 2));
    let words = text(&nodes[0].must(&["group", "create", "Tea"])["words"]);
    for other in &nodes[1..] {
        let asked = other.tell(&["join", &words, "--note", "near", "--wait", "50"]);
        assert_eq!(text(&asked.out["state"]), "requested", "{asked:?}");
        approve(&nodes[0], &words, other);
    }
    let circle = Circle::met(words, &nodes.iter().collect::<Vec<&Node>>());
    circle.all_say("found you");
    let agreed = circle.agree(0, began);
    let bytes = nodes.iter().map(Node::received).sum();
    Mesh::done(&nodes);
    Row { bytes, ..Row::of(3, "no relay, no address", &agreed) }
}

/// Lets somebody in who asked, once the words of who asks are checked, and waits until that is so.
fn approve(by: &Node, group: &str, who: &Node) {
    let identity = who.identity();
    eventually("the request can be approved", || by.tell(&["approve", group, &identity]).code == 0);
    eventually("who asked is in", || who.tell(&["chat", "read", group]).code == 0);
}
