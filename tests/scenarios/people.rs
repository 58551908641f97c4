//! Asks a cluster as people do: for names, removals and roles, and for who is in.

use std::collections::BTreeMap;

use fourword_protocol::command::{Command, MemberCommand, Outcome, Refusal, Reply};
use fourword_protocol::ids::EntityId;
use fourword_protocol::roster::Role;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;
use fourword_tests::insider::Insider;

/// A person's four words.
pub(crate) fn words_of(c: &mut Cluster, name: &str) -> String {
    match c.must(name, Command::Status) {
        Reply::Status(status) => status.identity.to_string(),
        other => panic!("{other:?}"),
    }
}

/// A group's full id.
pub(crate) fn id_of(c: &mut Cluster, at: &str, group: FourWords) -> EntityId {
    match c.must(at, Command::Show(group)) {
        Reply::Entity(view) => view.id,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn remove(c: &mut Cluster, by: &str, group: FourWords, whom: &str) {
    let who = words_of(c, whom);
    c.must(by, Command::Member(group, MemberCommand::Remove { who }));
}

pub(crate) fn set_role(c: &mut Cluster, by: &str, group: FourWords, whom: &str, role: Role) {
    let who = words_of(c, whom);
    c.must(by, Command::Member(group, MemberCommand::SetRole { who, role }));
}

/// Asks for something about somebody whose node is taken over and cannot be asked for its words.
pub(crate) fn act_on(c: &mut Cluster, by: &str, group: FourWords, insider: &Insider, role: Option<Role>) {
    let who = insider.person.to_string();
    let command = match role {
        Some(role) => MemberCommand::SetRole { who, role },
        None => MemberCommand::Remove { who },
    };
    c.must(by, Command::Member(group, command));
}

/// What a node says that refuses.
pub(crate) fn refused(c: &mut Cluster, name: &str, command: Command) -> Refusal {
    match c.ask(name, command) {
        Outcome::Refused(refusal) => refusal,
        Outcome::Done(reply) => panic!("{name} did it: {reply:?}"),
    }
}

/// Who is in, by name of the node, as one node shows it.
pub(crate) fn members(c: &mut Cluster, at: &str, group: FourWords, nodes: &[&str]) -> BTreeMap<String, Role> {
    let names: BTreeMap<String, &str> = nodes.iter().map(|name| (words_of(c, name), *name)).collect();
    let Reply::Members(members) = c.must(at, Command::Members(group)) else { panic!("members") };
    let named = members.into_iter().map(|member| {
        let words = member.person.words.unwrap().to_string();
        (names.get(&words).map_or(words.clone(), |name| (*name).to_owned()), member.role)
    });
    named.collect()
}
